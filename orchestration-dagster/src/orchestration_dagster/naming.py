"""What are the assets, groups and pools called, wherever they are referred to?"""

from typing import Final

import dagster as dg

from payment_pipeline.bronze.contract import EVENTS_TABLE

from .lake.lake_tables import NAMESPACE, TABLES

LAKE: Final = "lake"
MARTS: Final = "marts"
MAINTENANCE: Final = "maintenance"
MODEL_SCHEMAS: Final = ("staging", "intermediate", "marts")
"""Where dbt builds."""
FIRST_MODEL: Final = dg.AssetKey(["intermediate", "int_payment_events"])
"""What every run of dbt's builds first of tables."""


def lake_key(table: str) -> dg.AssetKey:
    """An Iceberg table; dbt's source of the same name has the same key."""
    return dg.AssetKey([NAMESPACE, table])


def bronze_key(table: str) -> dg.AssetKey:
    """A table in PostgreSQL."""
    return dg.AssetKey(["bronze", table])


def pool(table: str) -> str:
    """What every writer of a table waits for, so that maintenance and loads don't collide.

    Correctness doesn't hang on it: a collision costs the second commit another attempt.
    """
    return f"{LAKE}_{table}"


LAKE_KEYS: Final = tuple(lake_key(table) for table in TABLES)
HORIZON_CHECKS: Final = tuple(dg.AssetCheckKey(key, "horizon_is_young") for key in LAKE_KEYS)
"""What every load says of itself; other checks read the table."""
FRESHNESS_CHECK: Final = dg.AssetCheckKey(lake_key(EVENTS_TABLE), "source_is_fresh")
"""What dbt says of its source; asked with dbt's tests."""
