"""What services promise each other: typed Protocols, one file per service."""
