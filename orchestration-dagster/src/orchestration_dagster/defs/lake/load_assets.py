"""The assets of bronze and lake tables. Each lake asset loads the new rows of its table."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import dagster as dg

from orchestration_dagster.lake.lake_tables import TABLES, LakeTable
from orchestration_dagster.lake.loader import Loaded, load
from orchestration_dagster.naming import HORIZON_CHECKS, LAKE, bronze_key, lake_key, pool
from orchestration_dagster.settings_resource import PipelineSettings
from orchestration_dagster.user_errors import user_errors_as_failures

HORIZON_AGE_S_MAX: Final = 60.0
"""A bronze writer's transaction takes 0.1 s. One of over a minute delays the lake."""
FRESHNESS: Final = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(minutes=20), fail_window=timedelta(hours=1)
)
"""Freshness of the last load. A load runs every 15 minutes even when nothing waits."""
RETRIES: Final = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL)


@dg.definitions
def defs() -> dg.Definitions:
    """One asset for each table in bronze, and one for the same table in the lake."""
    return dg.Definitions(
        assets=[*map(_bronze_table, TABLES.values()), *map(_lake_table, TABLES.values())]
    )


def _bronze_table(table: LakeTable) -> dg.AssetSpec:
    return dg.AssetSpec(
        bronze_key(table.name),
        group_name="bronze",
        description=f"{table.name} in PostgreSQL, written by the orchestrator's workflows.",
        kinds={"postgres"},
        metadata=_columns(table),
    )


def _lake_table(table: LakeTable) -> dg.AssetsDefinition:
    @dg.asset(
        key=lake_key(table.name),
        deps=[bronze_key(table.name)],
        group_name=LAKE,
        description=f"{table.name} in Iceberg: each row of bronze once, by day of insertion.",
        kinds={"iceberg"},
        metadata=_columns(table),
        check_specs=[
            dg.AssetCheckSpec(
                HORIZON_CHECKS[0].name,
                asset=lake_key(table.name),
                description=f"No transaction holds the lake back over {HORIZON_AGE_S_MAX:.0f} s.",
            )
        ],
        freshness_policy=FRESHNESS,
        retry_policy=RETRIES,
        pool=pool(table.name),
    )
    def load_new_rows(settings: PipelineSettings) -> Iterator[dg.MaterializeResult[None]]:
        with user_errors_as_failures():
            loaded = load(settings.load(), table.name)
        yield dg.MaterializeResult(metadata=_figures(loaded), check_results=[_horizon(loaded)])

    return load_new_rows


def _figures(loaded: Loaded) -> dict[str, int | float | str]:
    return {
        "rows": loaded.rows,
        "rows_replaced": loaded.replaced,
        "commits": loaded.commits,
        "seconds": round(loaded.seconds, 3),
        "horizon_age_s": round(loaded.horizon.age_s, 3),
        "bronze": loaded.horizon.source,
    }


def _horizon(loaded: Loaded) -> dg.AssetCheckResult:
    age_s = loaded.horizon.age_s
    return dg.AssetCheckResult(
        check_name=HORIZON_CHECKS[0].name,
        passed=age_s <= HORIZON_AGE_S_MAX,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"The oldest writing transaction has been running for {age_s:.1f} s.",
        metadata={"horizon_age_s": age_s},
    )


def _columns(table: LakeTable) -> dict[str, dg.TableSchema]:
    return {
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    column.name,
                    column.type,
                    description=column.comment,
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in table.columns
            ]
        )
    }
