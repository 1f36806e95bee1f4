"""What nova runs beside its API."""
