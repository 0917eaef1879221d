"""Everything that Dagster runs; a folder here is found without being named."""
