"""The database: transaction functions over SQLAlchemy Core; the only dialect-aware code."""
