"""When are the lake's tables compacted, expired, swept and analysed?"""

from collections.abc import Mapping
from typing import Final

import dagster as dg

from orchestration_dagster.lake.maintenance import Maintained, maintain
from orchestration_dagster.lake.tables import NAMESPACE, TABLES
from orchestration_dagster.naming import MAINTENANCE, lake_key, pool
from orchestration_dagster.resources import PipelineSettings

WHEN: Final[Mapping[str, str]] = {
    "compact": "17 * * * *",
    "analyze": "27 * * * *",
    "expire_snapshots": "37 3 * * *",
    "remove_orphan_files": "47 3 * * *",
}
"""Operation → when, UTC; and only once the table has been loaded since."""


@dg.definitions
def defs() -> dg.Definitions:
    """An asset an operation and table: its figures are the history of the table's size."""
    return dg.Definitions(
        assets=[
            _upkeep(operation, table, cron) for operation, cron in WHEN.items() for table in TABLES
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
    )
    def upkeep(settings: PipelineSettings) -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(
            metadata=_figures(maintain(settings.load(), operation, NAMESPACE, table))
        )

    return upkeep


def _figures(done: Maintained) -> dict[str, int]:
    return {
        f"{name}_{when}": value
        for when, standing in done._asdict().items()
        for name, value in standing._asdict().items()
    }
