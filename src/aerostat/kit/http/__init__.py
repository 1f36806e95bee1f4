"""The HTTP edge: the only part that knows URLs, status codes, microversions and envelopes."""
