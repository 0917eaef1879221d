"""One component in the foreground: it is prepared, and its command takes the process's place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from local_stack import foreground, generated_secrets
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings


class ReplacedError(Exception):
    """In the place of another program: its command line."""


@pytest.fixture(autouse=True)
def no_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def execv(_program: str, arguments: list[str]) -> None:
        raise ReplacedError(*arguments)

    monkeypatch.setattr(os, "execv", execv)


def test_the_process_becomes_the_component(isolated: Callable[..., Settings]) -> None:
    settings = isolated()
    with pytest.raises(ReplacedError) as became:
        foreground.run(settings, "normalizer", lambda _text: None)
    assert became.value.args[1:] == ("-m", "payment_pipeline.normalizer")
    assert (settings.var / "run").is_dir()


def test_a_preparation_writes_the_files_and_starts_nothing(
    isolated: Callable[..., Settings], tmp_path: Path
) -> None:
    """As the job that configures Trino's container, with the server's name as its host."""
    settings = isolated(trino_home=tmp_path, host="trino")
    generated_secrets.generate(settings)
    foreground.prepare(settings, "trino", lambda _text: None)
    written = (settings.var / "trino/etc/config.properties").read_text()
    assert "node.internal-address=trino\nnode.bind-ip=0.0.0.0\n" in written
    assert f"plugin.dir={tmp_path}/plugin\n" in written
    assert "-Xmx2048m\n" in (settings.var / "trino/etc/java.options").read_text()


def test_a_prepared_component_is_only_run(isolated: Callable[..., Settings]) -> None:
    settings = isolated()
    with pytest.raises(ReplacedError) as became:
        foreground.run(settings, "superset", lambda _text: None, prepared=True)
    assert became.value.args[1:] == ("-m", "local_stack.components.superset")
    assert not (settings.var / "superset").exists()


def test_an_unknown_component_is_named(isolated: Callable[..., Settings]) -> None:
    with pytest.raises(UserError, match=r"No component gatway: there are .*gateway"):
        foreground.run(isolated(), "gatway", lambda _text: None)


def test_a_folder_that_cannot_be_written_is_named(
    isolated: Callable[..., Settings], tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(UserError, match=f"Can't write {taken}.*: mount a volume there"):
        foreground.run(isolated(var=taken), "gateway", lambda _text: None)
