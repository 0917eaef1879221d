"""The schedules of table maintenance, for the lake's tables and for the tables of dbt's models.

Each operation uses the pool of its tables, so it never runs at the same time as a load or dbt.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import dagster as dg

from orchestration_dagster.lake.lake_tables import NAMESPACE, TABLES
from orchestration_dagster.lake.table_maintenance import (
    Maintained,
    forget_old_metadata,
    maintain,
    maintain_all,
)
from orchestration_dagster.naming import (
    FIRST_MODEL,
    MAINTENANCE,
    MARTS,
    MODEL_SCHEMAS,
    lake_key,
    pool,
)
from orchestration_dagster.settings_resource import PipelineSettings

WHEN: Final[Mapping[str, str]] = {
    "compact": "17 * * * *",
    "analyze": "27 * * * *",
    "expire_snapshots": "37 * * * *",
    "remove_orphan_files": "47 3 * * *",
}
"""The cron schedule of each operation, UTC. It runs only if the table was loaded since."""
RETRIES: Final = dg.RetryPolicy(max_retries=2, delay=30)
MERGED_INTO: Final = ("intermediate",)
"""The schema of dbt's incremental models.

Trino collects statistics when it creates a table, and not when it merges rows. Without `analyze`,
such a table would keep the statistics of its first day, and lose them when that day's snapshot
expires."""
OF_MODELS: Final[Mapping[str, Sequence[str]]] = {
    "compact": MODEL_SCHEMAS,
    "analyze": MERGED_INTO,
    "expire_snapshots": MODEL_SCHEMAS,
    "remove_orphan_files": MODEL_SCHEMAS,
}
"""The schemas of dbt's tables that each operation is for."""


@dg.definitions
def defs() -> dg.Definitions:
    """One asset for each operation and table. Its metadata is the history of the table's size.

    All tables of dbt's models share one asset for each operation, because one run builds them.
    """
    return dg.Definitions(
        assets=[
            *(_upkeep(each, table, cron) for each, cron in WHEN.items() for table in TABLES),
            *(_upkeep_of_models(operation) for operation in OF_MODELS),
        ],
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "upkeep",
                target=dg.AssetSelection.groups(MAINTENANCE),
                default_status=dg.DefaultSensorStatus.RUNNING,
            )
        ],
    )


def _upkeep(operation: str, table: str, cron: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=[MAINTENANCE, operation, table],
        deps=[lake_key(table)],
        group_name=MAINTENANCE,
        kinds={"trino"},
        automation_condition=dg.AutomationCondition.on_cron(cron),
        pool=pool(table),
        retry_policy=RETRIES,
    )
    def upkeep(settings: PipelineSettings) -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(
            metadata=_figures(maintain(settings.load(), operation, NAMESPACE, table))
        )

    return upkeep


def _upkeep_of_models(operation: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=[MAINTENANCE, operation, "models"],
        deps=[FIRST_MODEL],
        group_name=MAINTENANCE,
        kinds={"trino"},
        automation_condition=dg.AutomationCondition.on_cron(WHEN[operation]),
        pool=MARTS,
        retry_policy=RETRIES,
    )
    def upkeep(settings: PipelineSettings) -> dg.MaterializeResult[None]:
        loaded = settings.load()
        forget_old_metadata(loaded, MODEL_SCHEMAS)
        return dg.MaterializeResult(
            metadata=_figures(maintain_all(loaded, operation, OF_MODELS[operation]))
        )

    return upkeep


def _figures(done: Maintained) -> dict[str, int]:
    sizes = {"before": done.before, "after": done.after}
    return {
        **done.did,
        **{
            f"{name}_{when}": value
            for when, size in sizes.items()
            for name, value in size._asdict().items()
        },
    }
