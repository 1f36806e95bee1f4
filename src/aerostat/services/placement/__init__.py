"""placement: who has how much of what, and who holds it."""
