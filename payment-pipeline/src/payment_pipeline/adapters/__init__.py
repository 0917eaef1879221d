"""The connections to Kafka, PostgreSQL, Temporal and Trino, and what all stages share of them."""
