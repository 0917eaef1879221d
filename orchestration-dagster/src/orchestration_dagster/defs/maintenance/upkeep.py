"""When are the lake's tables and the models' compacted, expired, swept and analysed?

Each waits for its tables' pool, so it never meets a load or dbt, whoever launched it.
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
"""Operation → when, UTC; and only once the table has been loaded since."""
RETRIES: Final = dg.RetryPolicy(max_retries=2, delay=30)
MERGED_INTO: Final = ("intermediate",)
"""Where dbt's incremental models are. Trino takes statistics as it makes a table, not as it merges:
these keep the distinct values of their first day, and lose them as its snapshot expires."""
OF_MODELS: Final[Mapping[str, Sequence[str]]] = {
    "compact": MODEL_SCHEMAS,
    "analyze": MERGED_INTO,
    "expire_snapshots": MODEL_SCHEMAS,
    "remove_orphan_files": MODEL_SCHEMAS,
}
"""Operation → the schemas whose tables it is for."""


@dg.definitions
def defs() -> dg.Definitions:
    """An asset an operation and table: its figures are the history of the table's size.

    dbt's tables are one here: they are built in one run, so they are looked after in one.
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
