"""One component in the foreground: it is prepared, and its command takes the process's place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from local_stack import foreground
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line that the process was replaced by."""
    found: list[str] = []
    monkeypatch.setattr(os, "execv", lambda _program, arguments: found.extend(arguments))
    return found


def test_the_process_becomes_the_component(
    isolated: Callable[..., Settings], became: list[str]
) -> None:
    settings = isolated()
    foreground.run(settings, "normalizer", lambda _text: None)
    assert became[1:] == ["-m", "payment_pipeline.normalizer"]
    assert (settings.var / "run").is_dir()


def test_an_unknown_component_is_named(isolated: Callable[..., Settings]) -> None:
    with pytest.raises(UserError, match=r"No component gatway: there are .*gateway"):
        foreground.run(isolated(), "gatway", lambda _text: None)


def test_a_folder_that_cannot_be_written_is_named(
    isolated: Callable[..., Settings], tmp_path: Path, became: list[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(UserError, match=f"Can't write {taken}.*: mount a volume there"):
        foreground.run(isolated(var=taken), "gateway", lambda _text: None)
    assert became == []
