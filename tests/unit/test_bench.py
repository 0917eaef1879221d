"""The benchmarks end in a sentence, and their servers start with the settings given to them."""

from pathlib import Path

import pytest

from bench import gateway, run
from bench.figure import Figure
from payment_pipeline import settings
from payment_pipeline.settings import Settings

FIGURE = Figure("rows", 2.0, "rows/s", "limit", 4.0, 0.5, 1.0, met=True)


def _broken(_settings: Settings) -> list[Figure]:
    raise RuntimeError("The load generator sent nothing.")


def test_a_part_that_fails_is_named_and_the_next_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"broken": run.Part(_broken), "sound": run.Part(lambda _settings: [FIGURE])}
    monkeypatch.setattr(run, "PARTS", parts)
    monkeypatch.setattr(run, "WRITTEN", tmp_path / "bench.json")
    assert run.main([]) == 1
    assert "broken was not measured: The load generator sent nothing." in capsys.readouterr().err
    assert '"rows"' in (tmp_path / "bench.json").read_text()


def test_the_gateway_accepts_the_secret_of_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = gateway.environment(Settings(var=tmp_path), tmp_path, 1, 2)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert settings.load().secrets_of("webhook_secrets_stripe") == (gateway.SECRET,)
