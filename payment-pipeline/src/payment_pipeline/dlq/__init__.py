"""Dead letters as a working place."""
