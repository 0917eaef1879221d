"""Only `payment_operations.terminal` writes to a terminal, because it escapes what it prints."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    ROOT / "payment-pipeline" / "src",
    ROOT / "infrastructure" / "local" / "src",
    ROOT / "orchestration-dagster" / "src",
)
SCREEN = "payment_operations/terminal.py"
LOGS = {
    "payment_pipeline/telemetry/json_logs.py",
    "payment_pipeline/telemetry/stage_process.py",
    "local_stack/dagster_run.py",
}
"""Write logs or a last sentence, which `payments logs` and `payments cluster logs` escape."""
WRITING_PACKAGES = {"rich", "click", "blessed", "colorama", "curses", "readline"}
WRITING_NAMES = {
    *("print", "input", "breakpoint", "typer.echo", "typer.secho", "typer.confirm"),
    *("typer.prompt", "typer.progressbar", "typer.style", "traceback.print_exc", "warnings.warn"),
    *("traceback.print_exception", "pprint.pprint", "getpass.getpass"),
    *("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"),
}

modules = {
    str(path.relative_to(source)): path for source in SOURCES for path in source.rglob("*.py")
}


def names_of(node: ast.AST) -> list[str]:
    """Return the dotted names that a node imports, calls or reads."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call):
        return [ast.unparse(node.func)]
    return [ast.unparse(node)] if isinstance(node, ast.Attribute) else []


def writes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield each way to the terminal in a module, with its line."""
    for node in ast.walk(tree):
        for name in names_of(node):
            package = name.split(".")[0]
            imported = isinstance(node, ast.Import | ast.ImportFrom)
            if name in WRITING_NAMES or (imported and package in WRITING_PACKAGES):
                yield getattr(node, "lineno", 0), name


@pytest.mark.parametrize("name", sorted(set(modules) - {SCREEN} - LOGS))
def test_a_module_prints_only_through_the_screen(name: str) -> None:
    found = [f"line {line}: {what}" for line, what in writes(ast.parse(modules[name].read_text()))]
    assert not found, f"{name} writes to the terminal: use payment_operations.terminal.Screen"


@pytest.mark.parametrize(
    "code",
    [
        "import rich.console",
        "from rich.console import Console",
        "from typer import echo",
        "from sys import stdout",
        "def f():\n    print(1)",
        "import typer\ntyper.echo('x')",
        "import sys\nsys.stdout.write('x')",
        "import sys\nsys.__stderr__.flush()",
    ],
)
def test_each_way_to_the_terminal_is_seen(code: str) -> None:
    assert list(writes(ast.parse(code)))


def test_the_exceptions_exist() -> None:
    assert {SCREEN, *LOGS} <= set(modules)
