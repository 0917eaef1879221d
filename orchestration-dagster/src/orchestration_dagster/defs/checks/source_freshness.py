"""How old is the lake's newest event? dbt's `source freshness`, each hour beside its tests."""

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
"""The year in which dbt has an empty table loaded."""
SEVERITIES: Final[Mapping[str, dg.AssetCheckSeverity]] = {
    "warn": dg.AssetCheckSeverity.WARN,
    "error": dg.AssetCheckSeverity.ERROR,
}
"""By dbt's status; `pass` has none."""


@dg.asset_check(
    asset=FRESHNESS_CHECK.asset_key,
    name=FRESHNESS_CHECK.name,
    description="dbt source freshness: whether new events reach the lake, whoever stands still.",
)
def source_is_fresh(dbt: DbtCliResource, settings: PipelineSettings) -> dg.AssetCheckResult:
    """Warn or fail as `_sources.yml` says of the source.

    Raises:
        Failure: dbt could not ask.
    """
    target = freshness_target(settings.load())
    (target / ANSWERS).unlink(missing_ok=True)  # an older one is no answer
    dbt.cli(ASKED, target_path=target, raise_on_error=False).wait()
    try:
        (answer,) = orjson.loads((target / ANSWERS).read_bytes())["results"]
        return _result(answer)
    except (FileNotFoundError, ValueError, KeyError) as no_answer:
        raise dg.Failure(
            "dbt can't ask how old the source is: its lines in this run's log say why"
        ) from no_answer


def freshness_target(settings: Settings) -> Path:
    """Where it writes: a folder of its own, for dbt's tests run beside it."""
    return dbt_target(settings) / "freshness"


def _result(answer: Mapping[str, Any]) -> dg.AssetCheckResult:
    newest, age_s = answer["max_loaded_at"], float(answer["max_loaded_at_time_ago_in_s"])
    if newest.startswith(OF_NOTHING):
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="No event has come yet.",
        )
    severity = SEVERITIES.get(answer["status"])
    return dg.AssetCheckResult(
        passed=severity is None,
        severity=severity or dg.AssetCheckSeverity.ERROR,
        description=f"The lake's newest event was written to bronze at {newest}. If that is long "
        "ago, no provider sends, or something on the way to the lake stands still.",
        metadata={"age_s": round(age_s, 1)},
    )
