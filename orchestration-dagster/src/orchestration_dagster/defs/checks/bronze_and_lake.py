"""Hourly checks that the lake holds the same rows and amounts as bronze."""

from typing import Final

import dagster as dg

from orchestration_dagster.lake import compare
from orchestration_dagster.lake.lake_tables import TABLES
from orchestration_dagster.naming import FRESHNESS_CHECK, HORIZON_CHECKS, LAKE_KEYS, lake_key
from orchestration_dagster.settings_resource import PipelineSettings
from orchestration_dagster.user_errors import user_errors_as_failures

WAITING_S_MAX: Final = 300.0
"""Loads run each minute, so five loads have missed a row that waits longer."""
DIFFERENCES_SHOWN_MAX: Final = 20

bronze_equals_lake = dg.define_asset_job(
    "bronze_equals_lake",
    selection=dg.AssetSelection.checks_for_assets(*LAKE_KEYS)
    - dg.AssetSelection.checks(*HORIZON_CHECKS, FRESHNESS_CHECK),
    description="Every check of the lake that reads more than a load does.",
    executor_def=dg.in_process_executor,
)


@dg.definitions
def defs() -> dg.Definitions:
    """The checks of each table, their job and its schedule."""
    checks = [
        make(table) for table in TABLES for make in (_amounts, _uniqueness, _schema, _freshness)
    ]
    hourly = dg.ScheduleDefinition(
        name="every_hour",
        job=bronze_equals_lake,
        cron_schedule="7 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return dg.Definitions(asset_checks=checks, jobs=[bronze_equals_lake], schedules=[hourly])


def _amounts(table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=lake_key(table),
        name="rows_and_amounts_as_in_bronze",
        description="Row counts and hash totals by day and currency, bronze = lake.",
    )
    def check(settings: PipelineSettings) -> dg.AssetCheckResult:
        with user_errors_as_failures():
            found = compare.differences(settings.load(), table)
        return dg.AssetCheckResult(
            passed=not found,
            metadata={
                "differences": len(found),
                "first": "\n".join(map(str, found[:DIFFERENCES_SHOWN_MAX])),
            },
        )

    return check


def _uniqueness(table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=lake_key(table), name="one_row_a_key", description="Rows = distinct keys."
    )
    def check(settings: PipelineSettings) -> dg.AssetCheckResult:
        with user_errors_as_failures():
            found = compare.counted(settings.load(), table)
        return dg.AssetCheckResult(passed=found.rows == found.keys, metadata=found._asdict())

    return check


def _schema(table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=lake_key(table),
        name="columns_as_contracted",
        description="The table's columns are the contract's.",
    )
    def check(settings: PipelineSettings) -> dg.AssetCheckResult:
        with user_errors_as_failures():
            refusal = compare.schema_refusal(settings.load(), table)
        return dg.AssetCheckResult(passed=refusal is None, description=refusal)

    return check


def _freshness(table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=lake_key(table),
        name="nothing_waits_long",
        description=f"No row of bronze has waited over {WAITING_S_MAX:.0f} s.",
    )
    def check(settings: PipelineSettings) -> dg.AssetCheckResult:
        with user_errors_as_failures():
            found = compare.waiting(settings.load(), table)
        return dg.AssetCheckResult(
            passed=found.oldest_age_s <= WAITING_S_MAX,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=found._asdict(),
        )

    return check
