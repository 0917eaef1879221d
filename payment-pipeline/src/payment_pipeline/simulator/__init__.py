"""Signed, seeded, schema-true Stripe traffic.

`traffic` makes the deliveries, `sender` sends them, and `simulation_run` connects the two for the
command `payments simulate`.
"""
