"""The `payments` command: its groups, its help, and how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from payment_operations import cli
from payment_operations.commands import Panel, groups
from payment_pipeline.domain.failures import UserError

TOP = {
    *("up", "down", "status", "logs", "doctor", "migrate", "demo", "secrets", "audit", "trace"),
    *("replay", "backup", "restore", "forget", "dlq", "review", "dbt", "lake", "simulate"),
    *("train", "contracts", "metrics", "actions"),
}
"""The public names; a change of one needs a line in CHANGELOG.md."""
SUBCOMMANDS = {
    "secrets": {"rotate", "retire"},
    "actions": {"list", "verify"},
    "dlq": {"list", "show", "redrive", "dismiss", "reopen"},
    "review": {"list", "approve", "decline"},
    "lake": {"load", "status", "reload", "rebuild", "reanchor"},
}
COMMANDS = [
    *((name,) for name in sorted(TOP - {"dbt"})),
    *((group, name) for group, names in SUBCOMMANDS.items() for name in sorted(names)),
]
"""Every command with a help of its own: that of `payments dbt` is dbt's."""
HEAVY = {
    *("aiokafka", "asyncpg", "dagster", "local_stack", "numpy", "orchestration_dagster"),
    *("pyiceberg", "sklearn", "temporalio"),
}


def help_of(*words: str) -> str:
    result = CliRunner().invoke(cli.application(), [*words, "--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    return result.output


def test_every_command_is_in_the_help() -> None:
    listed = {line.split()[1] for line in help_of().splitlines() if line.startswith("│ ")}
    assert listed >= TOP


@pytest.mark.parametrize(("group", "subcommands"), SUBCOMMANDS.items())
def test_every_subcommand_is_in_the_help(group: str, subcommands: set[str]) -> None:
    listed = {line.split()[1] for line in help_of(group).splitlines() if line.startswith("│ ")}
    assert listed >= subcommands


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_help_is_cut_at_80_columns(words: tuple[str, ...]) -> None:
    text = help_of(*words)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_group_is_found_by_its_file() -> None:
    folder = Path(cli.__file__).with_name("commands")
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {sys.modules[f"payment_operations.commands.{name}"] for name in files} == set(groups())


def test_the_groups_are_in_the_order_of_the_panels() -> None:
    text = help_of()
    positions = [text.index(panel.value) for panel in Panel]
    assert positions == sorted(positions)


def test_the_help_loads_no_heavy_package() -> None:
    load = "import sys; from payment_operations import cli; cli.application()"
    code = f"{load}; print({HEAVY} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def run(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "application", lambda: fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_mistake_is_one_sentence_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, UserError("Kafka does not answer.", 1)) == 1
    assert capsys.readouterr().err == "payments: Kafka does not answer.\n"


def test_a_missing_extra_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, ModuleNotFoundError("no psutil", name="psutil")) == 2
    sentence = capsys.readouterr().err
    assert "the Python package psutil is not installed" in sentence
    assert "extras `local` and `lakehouse`" in sentence


def test_a_missing_module_of_ours_is_a_defect_and_no_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli, "application", lambda: import_nothing)
    with pytest.raises(ModuleNotFoundError):
        cli.main()


def import_nothing() -> None:
    raise ModuleNotFoundError("no module", name="payment_pipeline.nothing")


def test_down_says_that_everything_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYMENTS_VAR", str(tmp_path))
    result = CliRunner().invoke(cli.application(), ["down"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert result.output == f"Everything is stopped. The data stays in {tmp_path}.\n"
