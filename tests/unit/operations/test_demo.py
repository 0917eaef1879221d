"""The demo: new payments each time, and the error of a failed load."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from local_stack import dagster
from payment_operations import demo, simulation, stack_text
from payment_operations.terminal import Screen
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.simulation_run import Run
from payment_pipeline.simulator.traffic import deliveries

SettingsOf = Callable[..., Settings]


def test_each_demo_has_its_own_seed_and_ledger(isolated: SettingsOf, tmp_path: Path) -> None:
    settings = isolated()
    first = demo._next_ledger(settings)
    first.write_text("{}\n")
    second = demo._next_ledger(settings)
    assert demo._seed(first) != demo._seed(second)
    assert first.is_relative_to(tmp_path)


def test_the_traffic_of_the_demo_fills_the_chart_of_dead_letters(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Run] = []

    def sent(_settings: Settings, run: Run, *, as_json: bool) -> int:
        del as_json
        asked.append(run)
        return 1

    monkeypatch.setattr(stack_text, "up", lambda _settings, groups: groups)
    monkeypatch.setattr(simulation, "main", sent)
    with pytest.raises(UserError, match="wrong answers"):
        demo.run(isolated(), 1000)
    (run,) = asked
    failures = {each.failure for each in deliveries(run.seed, run.events, run.period, run.faults)}
    assert len(failures - {None}) > 1


def test_a_failed_load_is_reported_with_its_link(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = isolated()

    async def launched(_settings: Settings, job: str) -> str:
        return f"run-of-{job}"

    async def failed(_settings: Settings, _run_id: str) -> str:
        return "FAILURE"

    monkeypatch.setattr(dagster, "launch", launched)
    monkeypatch.setattr(dagster, "run_status", failed)
    link = f"{dagster.address(settings)}/runs/run-of-micro_batch"
    with pytest.raises(UserError, match=link) as refused:
        demo._load(settings, Screen(file=io.StringIO()))
    assert refused.value.exit_code == 1


async def test_without_dagster_no_run_is_launched(isolated: SettingsOf) -> None:
    with pytest.raises(UserError, match="doesn't launch micro_batch"):
        await dagster.launch(isolated(), "micro_batch")
