"""Aerostat: a whole OpenStack cloud that is one program."""

__version__ = "0.1.0"
