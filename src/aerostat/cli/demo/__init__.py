"""`aerostat demo`: a server that one can log in to, made through the public APIs only."""
