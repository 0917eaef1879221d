"""Signed, seeded, schema-true Stripe traffic.

`traffic` says what is sent, `sender` sends it, `run` is the two of them behind `payments simulate`.
"""
