"""Checks of the tables, in addition to dbt's tests."""
