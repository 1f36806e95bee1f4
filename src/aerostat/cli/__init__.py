"""What a user types: `aerostat up`, `demo`, `status`, ... Everything goes over the public APIs."""
