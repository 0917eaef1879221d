"""The assets of dbt's models, seeds and exposures, and the job of dbt's tests."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from orchestration_dagster.dbt_manifest import (
    PROJECT,
    VERSION,
    dbt,
    dbt_target,
    manifest,
    unaffected_by_loads,
)
from orchestration_dagster.naming import FRESHNESS_CHECK, MARTS
from orchestration_dagster.settings_resource import PipelineSettings

FRESHNESS: Final = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(minutes=30), fail_window=timedelta(hours=2)
)
# Unit tests depend on the code alone, so their result is the same each minute.
BUILD: Final = ("build", "--exclude-resource-type", "unit_test")
FOUND: Final[Mapping[str, Any]] = json.loads(manifest().read_text())


class Translator(DagsterDbtTranslator):
    """dbt's nodes as assets of one group, which the job `micro_batch` selects."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """The same for every node."""
        return MARTS

    def get_code_version(self, dbt_resource_props: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """The version of the whole project, since macros change a node too."""
        return VERSION


@dg.definitions
def defs() -> dg.Definitions:
    """The models with their tests as checks, the dashboards, and the hourly job of the tests."""
    marts_hold = dg.define_asset_job(
        "marts_hold",
        selection=dg.AssetSelection.checks_for_assets(dbt_build)
        | dg.AssetSelection.checks(FRESHNESS_CHECK),
        description="Every dbt test (identities, contracts, relations) and the source's freshness.",
    )
    hourly = dg.ScheduleDefinition(
        name="marts_every_hour",
        job=marts_hold,
        cron_schedule="12 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return dg.Definitions(
        assets=[
            dbt_build.map_asset_specs(
                lambda spec: (
                    spec
                    if spec.key in UNAFFECTED_BY_LOADS
                    else spec.replace_attributes(freshness_policy=FRESHNESS)
                )
            ),
            *_dashboards(FOUND),
        ],
        jobs=[marts_hold],
        schedules=[hourly],
        resources={"dbt": dbt()},
    )


@dbt_assets(
    manifest=manifest(),
    project=PROJECT,
    dagster_dbt_translator=Translator(),
    pool=MARTS,
    retry_policy=dg.RetryPolicy(max_retries=1),
)
def dbt_build(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, settings: PipelineSettings
) -> Iterator[Any]:
    """Builds the selected nodes, in dbt's order."""
    target = dbt_target(settings.load())
    yield from dbt.cli(BUILD, context=context, target_path=target).stream()


MODELS: Final = frozenset(dbt_build.keys)
UNAFFECTED_BY_LOADS: Final = frozenset(
    Translator().get_asset_spec(FOUND, node, PROJECT).key for node in unaffected_by_loads(FOUND)
)
"""The assets that a load doesn't change."""


def _dashboards(found: Mapping[str, Any]) -> list[dg.AssetSpec]:
    """The dashboards, from dbt's exposures, with the marts that they read."""
    keys = Translator()
    return [
        dg.AssetSpec(
            ["dashboards", exposure["name"]],
            deps=[
                keys.get_asset_spec(found, node, PROJECT).key
                for node in exposure["depends_on"]["nodes"]
            ],
            description=exposure["description"],
            group_name="dashboards",
            kinds={"superset"},
        )
        for exposure in found["exposures"].values()
    ]
