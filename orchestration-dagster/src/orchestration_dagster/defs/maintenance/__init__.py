"""Maintenance of the tables and of Dagster's own run history."""
