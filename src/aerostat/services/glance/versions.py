"""The minor versions of the image API. Source: image api-ref, "API versions"."""

NEWEST = 18
VERSIONS = tuple(f"v2.{minor}" for minor in range(NEWEST, -1, -1))
"""Newest first; one API serves them all."""
