"""Tests of the check that reports dbt's source freshness."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration_dagster.dbt_manifest import PROJECT, InstalledDbt
from orchestration_dagster.defs.checks.source_freshness import freshness_target, source_is_fresh
from orchestration_dagster.settings_resource import PipelineSettings
from payment_pipeline import settings as settings_module
from payment_pipeline.settings import Settings

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning"),
]

ANSWER = {
    "unique_id": "source.lakehouse_analytics.data.payment_events",
    "max_loaded_at": "2026-01-01T00:00:00+00:00",
    "max_loaded_at_time_ago_in_s": 12.34,
}
"""The fields of an answer that are read. `test_dbt_marts` checks a real answer."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    found = Settings(var=tmp_path / "var")
    monkeypatch.setattr(settings_module, "load", lambda: found)
    return found


def asked(settings: Settings, answers: list[dict[str, Any]] | None) -> dg.AssetCheckResult:
    """Runs the check with a dbt that writes the given answers, or none."""
    target = freshness_target(settings)
    target.mkdir(parents=True, exist_ok=True)
    stub = target.parent / "dbt-stub"
    written = target.parent / "answers.json"
    written.write_text(json.dumps({"results": answers}))
    copies = f'cp {written} "$DBT_TARGET_PATH/sources.json"\n' if answers is not None else ""
    stub.write_text(f"#!/bin/sh\n{copies}exit 1\n")
    stub.chmod(0o700)
    dbt = InstalledDbt(project_dir=str(PROJECT.project_dir), dbt_executable=str(stub))
    result = source_is_fresh(dbt=dbt, settings=PipelineSettings())
    assert isinstance(result, dg.AssetCheckResult)
    return result


@pytest.mark.parametrize(
    ("status", "passed", "severity"),
    [
        ("pass", True, dg.AssetCheckSeverity.ERROR),
        ("warn", False, dg.AssetCheckSeverity.WARN),
        ("error", False, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_the_check_has_the_severity_of_dbt(
    settings: Settings, status: str, passed: bool, severity: dg.AssetCheckSeverity
) -> None:
    said = asked(settings, [ANSWER | {"status": status}])
    assert (said.passed, said.severity) == (passed, severity)
    assert said.metadata == {"age_s": dg.FloatMetadataValue(12.3)}


def test_an_empty_lake_only_warns(settings: Settings) -> None:
    empty = {"max_loaded_at": "0001-01-01T00:00:00+00:00", "status": "error"}
    said = asked(settings, [ANSWER | empty])
    assert (said.passed, said.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert said.description == "No event has arrived yet."


@pytest.mark.parametrize(
    "answers", [None, [], [{"unique_id": ANSWER["unique_id"], "status": "runtime error"}]]
)
def test_a_missing_answer_fails(settings: Settings, answers: list[dict[str, Any]] | None) -> None:
    """The answer of an earlier call doesn't count."""
    asked(settings, [ANSWER | {"status": "pass"}])
    with pytest.raises(dg.Failure, match="dbt can't read the age"):
        asked(settings, answers)
