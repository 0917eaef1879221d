"""The payment events in PostgreSQL: one row an event, exactly once."""
