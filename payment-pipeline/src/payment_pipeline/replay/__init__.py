"""Normalize again what was received, and bring bronze to what comes of it."""
