"""The only wiring: which services run in which process, over which database and bus."""
