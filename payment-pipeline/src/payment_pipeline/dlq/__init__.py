"""Dead letters as a working place: list them, look at one, send them on their way again."""
