"""Does each demo send other payments than before, and does a failed load say where to look?"""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from local_stack import dagster
from payment_operations import demo
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

SettingsOf = Callable[..., Settings]


def test_a_second_demo_has_another_seed_and_ledger(isolated: SettingsOf, tmp_path: Path) -> None:
    settings = isolated()
    first = demo._next_ledger(settings)
    first.write_text("{}\n")
    second = demo._next_ledger(settings)
    assert demo._seed(first) != demo._seed(second)
    assert first.is_relative_to(tmp_path)


def test_a_load_that_fails_is_a_sentence_with_its_link(
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
    with pytest.raises(UserError, match=link) as said:
        demo._load(settings, Console(quiet=True))
    assert said.value.exit_code == 1


async def test_a_dagster_that_does_not_answer_launches_nothing(isolated: SettingsOf) -> None:
    with pytest.raises(UserError, match="doesn't launch micro_batch"):
        await dagster.launch(isolated(), "micro_batch")
