"""Loads bronze rows into Iceberg tables, each row once. It needs no Dagster."""
