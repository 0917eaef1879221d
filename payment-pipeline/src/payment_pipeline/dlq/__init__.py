"""Dead letters: list them, show one, redrive or dismiss them."""
