"""Durable operations: named steps with their undo, recorded beside the rows they are about."""
