"""Glance: images, their data and who may use them."""
