"""Client factories: the one place that knows how to connect to Kafka, PostgreSQL and Temporal."""
