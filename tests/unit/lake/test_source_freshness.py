"""Does Dagster take dbt's word for how old the source is, and nobody's else?"""

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
"""The part of an answer that is read; `test_dbt_marts` holds the real one to it."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    found = Settings(var=tmp_path / "var")
    monkeypatch.setattr(settings_module, "load", lambda: found)
    return found


def asked(settings: Settings, answers: list[dict[str, Any]] | None) -> dg.AssetCheckResult:
    """The check, with a dbt that answers so, or not at all."""
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
def test_it_says_what_dbt_says(
    settings: Settings, status: str, passed: bool, severity: dg.AssetCheckSeverity
) -> None:
    said = asked(settings, [ANSWER | {"status": status}])
    assert (said.passed, said.severity) == (passed, severity)
    assert said.metadata == {"age_s": dg.FloatMetadataValue(12.3)}


def test_an_empty_lake_is_no_fault(settings: Settings) -> None:
    empty = {"max_loaded_at": "0001-01-01T00:00:00+00:00", "status": "error"}
    said = asked(settings, [ANSWER | empty])
    assert (said.passed, said.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert said.description == "No event has arrived yet."


@pytest.mark.parametrize(
    "answers", [None, [], [{"unique_id": ANSWER["unique_id"], "status": "runtime error"}]]
)
def test_no_answer_is_not_fresh(settings: Settings, answers: list[dict[str, Any]] | None) -> None:
    """Nor is the one that an earlier call left."""
    asked(settings, [ANSWER | {"status": "pass"}])
    with pytest.raises(dg.Failure, match="dbt can't read the age"):
        asked(settings, answers)
