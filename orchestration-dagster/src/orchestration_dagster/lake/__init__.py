"""How do bronze rows reach Iceberg exactly once? Usable without Dagster: see `loader.load`."""
