"""Proof that nothing was lost: what came in, where it ended, what is missing."""
