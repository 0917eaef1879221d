"""All definitions of Dagster, found by listing this folder."""
