"""All stages log the fields of the guide; lines about an event have the event and trace ids."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.repository import ROOT

SOURCES = (
    ROOT / "payment-pipeline" / "src" / "payment_pipeline",
    ROOT / "orchestration-dagster" / "src" / "orchestration_dagster",
)
GUIDE = (ROOT / "docs" / "guides" / "observability.md").read_text()
LEVELS = {"debug", "info", "warning", "error", "exception"}
FIELDS = {
    field
    for row in re.findall(r"^\| (`[a-z0-9_`, ]+`) \| .* \|$", GUIDE, re.MULTILINE)
    for field in re.findall(r"`(\w+)`", row)
}


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    for source in SOURCES:
        for path in sorted(source.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "log"
                    and node.func.attr in LEVELS
                ):
                    yield f"{name_of(path)}:{node.lineno}", node


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


CALLS = dict(log_calls())


def test_the_guide_and_the_code_were_read() -> None:
    assert len(CALLS) > 20
    assert {"event_id", "trace_id", "workflow_id", "failure"} <= FIELDS


@pytest.mark.parametrize("where", CALLS)
def test_a_line_has_a_name_and_only_fields_of_the_guide(where: str) -> None:
    call = CALLS[where]
    (name,) = call.args
    assert isinstance(name, ast.Constant)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", str(name.value)), f"{where}: {name.value!r}"
    given = {keyword.arg for keyword in call.keywords if keyword.arg} - {"exc_info"}
    assert given <= FIELDS, f"{where}: {given - FIELDS}"


@pytest.mark.parametrize("where", CALLS)
def test_a_line_about_an_event_has_its_event_id_and_trace_id(where: str) -> None:
    given = {keyword.arg for keyword in CALLS[where].keywords if keyword.arg}
    assert "event_id" not in given, f"{where}: pass **of_event(…), which has the trace's id too"
