"""The age of the lake's newest event, by dbt's `source freshness`, each hour."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import dagster as dg
import orjson
from dagster_dbt import DbtCliResource

from orchestration_dagster.dbt_manifest import dbt_target
from orchestration_dagster.naming import FRESHNESS_CHECK
from orchestration_dagster.settings_resource import PipelineSettings
from payment_pipeline.settings import Settings

ASKED: Final = (
    "source",
    "freshness",
    "--select",
    f"source:{'.'.join(FRESHNESS_CHECK.asset_key.path)}",
)
ANSWERS: Final = "sources.json"
OF_NOTHING: Final = "0001-"
"""The start of the load time that dbt reports for an empty table."""
SEVERITIES: Final[Mapping[str, dg.AssetCheckSeverity]] = {
    "warn": dg.AssetCheckSeverity.WARN,
    "error": dg.AssetCheckSeverity.ERROR,
}
"""Severities by dbt's status. The status `pass` has none."""


@dg.asset_check(
    asset=FRESHNESS_CHECK.asset_key,
    name=FRESHNESS_CHECK.name,
    description="dbt source freshness: new events reach the lake.",
)
def source_is_fresh(dbt: DbtCliResource, settings: PipelineSettings) -> dg.AssetCheckResult:
    """Warns or fails by the limits in `_sources.yml`.

    Raises:
        Failure: dbt could not query the source.
    """
    target = freshness_target(settings.load())
    (target / ANSWERS).unlink(missing_ok=True)  # an older file is no answer
    dbt.cli(ASKED, target_path=target, raise_on_error=False).wait()
    try:
        (answer,) = orjson.loads((target / ANSWERS).read_bytes())["results"]
        return _result(answer)
    except (FileNotFoundError, ValueError, KeyError) as no_answer:
        raise dg.Failure(
            "dbt can't read the age of the source. See dbt's lines in the log of this run."
        ) from no_answer


def freshness_target(settings: Settings) -> Path:
    """The output folder of this dbt call. dbt's tests run at the same time in another one."""
    return dbt_target(settings) / "freshness"


def _result(answer: Mapping[str, Any]) -> dg.AssetCheckResult:
    newest, age_s = answer["max_loaded_at"], float(answer["max_loaded_at_time_ago_in_s"])
    if newest.startswith(OF_NOTHING):
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="No event has arrived yet.",
        )
    severity = SEVERITIES.get(answer["status"])
    return dg.AssetCheckResult(
        passed=severity is None,
        severity=severity or dg.AssetCheckSeverity.ERROR,
        description=f"The lake's newest event was written to bronze at {newest}. If that is long "
        "ago, no provider sends events, or a stage before the lake has stopped.",
        metadata={"age_s": round(age_s, 1)},
    )
