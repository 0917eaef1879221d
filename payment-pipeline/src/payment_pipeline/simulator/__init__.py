"""Signed, seeded, schema-true Stripe traffic."""
