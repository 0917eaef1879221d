"""The lake's tables, their loads and their reloads."""
