"""Scores normalized events and writes them to bronze, as Temporal workflows over offset ranges."""
