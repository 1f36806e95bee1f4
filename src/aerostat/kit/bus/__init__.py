"""Typed calls between parts of the cloud, over a transport that assembly chooses."""
