"""The whole control plane in one event loop, under simulated time, bus and disk, from a seed."""
