"""How long ago did the last event come? dbt's `source freshness`, each hour beside its tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster_dbt import DbtCliResource

from orchestration_dagster.dbt_manifest import dbt_target
from orchestration_dagster.naming import FRESHNESS_CHECK
from orchestration_dagster.resources import PipelineSettings
from payment_pipeline.settings import Settings

ANSWERS: Final = "sources.json"
SEVERITIES: Final[Mapping[str, dg.AssetCheckSeverity]] = {
    "warn": dg.AssetCheckSeverity.WARN,
    "error": dg.AssetCheckSeverity.ERROR,
}
"""By dbt's status; `pass` has none."""


@dg.asset_check(
    asset=FRESHNESS_CHECK.asset_key,
    name=FRESHNESS_CHECK.name,
    description="dbt source freshness: a provider that has fallen silent, whatever the loads say.",
)
def source_is_fresh(dbt: DbtCliResource, settings: PipelineSettings) -> dg.AssetCheckResult:
    """Warn or fail as `_sources.yml` says of the source.

    Raises:
        Failure: dbt could not ask.
    """
    target = freshness_target(settings.load())
    (target / ANSWERS).unlink(missing_ok=True)  # an older one is no answer
    asked = dbt.cli(["source", "freshness"], target_path=target, raise_on_error=False).wait()
    answers = asked.get_artifact(ANSWERS)["results"] if (target / ANSWERS).exists() else []
    if len(answers) != 1 or "max_loaded_at" not in answers[0]:
        raise dg.Failure("dbt can't ask how old the source is: its lines in this run's log say why")
    return _result(answers[0])


def freshness_target(settings: Settings) -> Path:
    """Where it writes: a folder of its own, since it waits for nobody who builds."""
    return dbt_target(settings) / "freshness"


def _result(answer: Mapping[str, Any]) -> dg.AssetCheckResult:
    severity = SEVERITIES.get(answer["status"])
    return dg.AssetCheckResult(
        passed=severity is None,
        severity=severity or dg.AssetCheckSeverity.ERROR,
        description=f"The last event came at {answer['max_loaded_at']}.",
        metadata={"age_s": round(float(answer["max_loaded_at_time_ago_in_s"]), 1)},
    )
