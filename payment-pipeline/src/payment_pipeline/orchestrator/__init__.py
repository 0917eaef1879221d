"""Ranges of normalized events through scoring into bronze, as Temporal workflows."""
