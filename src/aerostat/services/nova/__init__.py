"""nova: servers, the hosts they run on, and how one finds the other."""
