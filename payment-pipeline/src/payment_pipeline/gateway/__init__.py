"""Signed webhooks in: verified, put on Kafka, answered. Nothing else."""
