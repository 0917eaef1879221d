"""The names of assets, groups, checks and pools that several modules use."""

from typing import Final

import dagster as dg

from payment_pipeline.bronze.contract import EVENTS_TABLE

from .lake.lake_tables import NAMESPACE, TABLES

LAKE: Final = "lake"
MARTS: Final = "marts"
MAINTENANCE: Final = "maintenance"
MODEL_SCHEMAS: Final = ("staging", "intermediate", "marts")
"""The schemas that dbt builds."""
FIRST_MODEL: Final = dg.AssetKey(["intermediate", "int_payment_events"])
"""The first table that each dbt run builds."""


def lake_key(table: str) -> dg.AssetKey:
    """The key of an Iceberg table and of the dbt source with the same name."""
    return dg.AssetKey([NAMESPACE, table])


def bronze_key(table: str) -> dg.AssetKey:
    """The key of a bronze table in PostgreSQL."""
    return dg.AssetKey(["bronze", table])


def pool(table: str) -> str:
    """The pool of a table's writers: loads and maintenance of one table run one at a time.

    The pool saves work and is not needed for correctness: when two commits collide, the second one
    is tried again.
    """
    return f"{LAKE}_{table}"


LAKE_KEYS: Final = tuple(lake_key(table) for table in TABLES)
HORIZON_CHECKS: Final = tuple(dg.AssetCheckKey(key, "horizon_is_young") for key in LAKE_KEYS)
"""The checks that a load evaluates itself. The other checks read the table."""
FRESHNESS_CHECK: Final = dg.AssetCheckKey(lake_key(EVENTS_TABLE), "source_is_fresh")
"""The check of dbt's source freshness, which runs with dbt's tests."""
