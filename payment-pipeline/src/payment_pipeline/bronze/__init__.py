"""Bronze: the tables in PostgreSQL. Each payment event has exactly one row."""
