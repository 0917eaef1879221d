"""Signed payment webhooks in, nothing lost, every payment scored, a warehouse that adds up."""
