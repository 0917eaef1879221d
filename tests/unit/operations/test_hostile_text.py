"""Texts from outside in everything that a command prints: shown as they are, never obeyed."""

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from local_stack import logs
from local_stack.component import Check
from local_stack.stack import ComponentStatus
from payment_operations import (
    action_text,
    audit_text,
    books_text,
    cli,
    cluster_workloads,
    dead_letter_text,
    erasure_text,
    model_training,
    policy_simulation,
    replay_text,
    review_queue,
    simulation_text,
    stack_text,
    trace_text,
)
from payment_operations.cluster_workloads import Workload
from payment_operations.policy_simulation import Comparison as PolicyComparison
from payment_operations.safe_text import printable, printable_json
from payment_operations.terminal import Screen, facts, show_defect, styled, table, text_column
from payment_pipeline.books.backfill import Filled, Missing
from payment_pipeline.books.backfill import Outcome as Filling
from payment_pipeline.books.event_comparison import Account, Comparison
from payment_pipeline.books.inventory import Pulled
from payment_pipeline.dlq.dead_letter_store import Group
from payment_pipeline.dlq.redrive import Result
from payment_pipeline.dlq.redrive_plan import Outcome
from payment_pipeline.domain.action_chain import Action
from payment_pipeline.domain.decision_policy import DecisionPolicy
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.ledger.audit_runner import Report as Audit
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.event_trace import Sighting, Trace
from payment_pipeline.ledger.reconciliation import reconcile
from payment_pipeline.ledger.stage_tally import Money, Seen
from payment_pipeline.ledger.stages import Reading, Stage
from payment_pipeline.ledger.workflow_runs import Run
from payment_pipeline.orchestrator.reviews import OpenReview
from payment_pipeline.providers.provider_books import Window as Span
from payment_pipeline.replay.replay_outcome import ReplayOutcome
from payment_pipeline.replay.replay_outcome import Report as Replay
from payment_pipeline.settings import Settings
from support.hostile_texts import FORGED, HOSTILE, HOSTILE_IDS
from support.repository import ROOT

NOW = datetime(2026, 1, 31, 12, 0, 5, 250_000, UTC)
WIDE = 5000
"""Columns: nothing is folded, so a forged line would stand at the start of a line."""
HARMLESS = "cus_1"
SOURCE = Coordinates("webhooks.stripe.charge", 1, 9)


class Tty(io.StringIO):
    """A file that says that it is a terminal, so that rich writes its colours."""

    def isatty(self) -> bool:
        return True


def sighting(text: str, stage: Stage) -> Sighting:
    row: dict[str, Any] = {
        "id": 204, "payment_id": text, "amount_minor": 5, "currency": text,
        "currency_exponent": 2, "status": text, "occurred_at": NOW, "ingested_at": NOW,
        "inference_status": text, "failure": text, "component": text, "component_version": text,
        "errors": [{"path": text, "message": text}], "body_bytes": 9, "body_sha256": text,
        "resolution": text, "resolved_at": NOW, "resolved_by": text, "patched": True,
        "redriven_body_sha256": text, "found_at": text, "standing": text,
        "scores": {
            text: {
                "value": text, "model": text, "version": text,
                "reasons": [{"feature": text, "contribution": 0.5}], "detail": {text: text},
            }
        },
    }  # fmt: skip
    return Sighting(stage, text, text, text, NOW, SOURCE, text, text, row)


def trace(text: str, *stages: Stage, other: str = "") -> Trace:
    seen = [sighting(text, stage) for stage in stages]
    seen += [sighting(other, Stage.BRONZE)] if other else []
    run = Run(text, text, text, text, text, NOW, NOW)
    decision = {"workflow_id": text, "kind": text, "outcome": text, "decided_at": text, "by": text}
    return Trace(text, tuple(seen), (run,), (decision,), text)


def letter(text: str) -> dict[str, Any]:
    return {
        "id": 17, "provider": text, "event_id": text, "provider_event_type": text,
        "failure": text, "errors": [{"path": text, "message": text}], "component": text,
        "component_version": text, "verdict": text, "received_at": NOW, "rejected_at": NOW,
        "source_topic": text, "source_partition": 1, "source_offset": 9, "traceparent": text,
        "workflow_id": text, "body_sha256": text, "body_bytes": 2, "body": None,
        "redriven_body_sha256": text, "redriven_event_id": text,
        "patch": [{"op": "add", "path": text, "value": text}], "resolution": text,
        "resolved_at": NOW, "resolved_by": text, "resolution_note": text,
    }  # fmt: skip


def group(text: str) -> Group:
    return Group(text, text, text, text, text, 3, NOW, NOW, text)


def audit(text: str) -> Audit:
    reading = Reading()
    for stage in (Stage.RAW, Stage.NORMALIZED):
        for day in (1, 2):
            seen = Seen(None, f"{text}{day}", f"{day:032x}" * 2, Money(text, day))
            reading.stages[stage].add(seen, day)
    return Audit(
        reconcile(reading), Window(None, NOW, True), True, None, 0.5, absent={Stage.LAKE: text}
    )


def replay(text: str) -> Replay:
    report = Replay(text, dry_run=False)
    for outcome in ReplayOutcome:
        report.outcomes[outcome] = 1
    report.note(ReplayOutcome.NO_LONGER_TAKEN, text, text, text)
    return report


def simulation(text: str) -> dict[str, Any]:
    wrong = dict.fromkeys(("event_id", "event_type", "fault", "detail", "answer", "expected"), text)
    return {
        "events": 1, "deliveries": 1, "attempts": 1, "faults": {text: 1}, "answers": {text: 1},
        "rate_per_s": 1.0, "seconds": 1.0, "latency_ms": {text: 1.0}, "expected": {text: 1},
        "ledger": text, "unexpected": {"count": 1, "examples": [wrong]},
    }  # fmt: skip


def review(text: str) -> OpenReview:
    return OpenReview(text, text, text, 0.9, NOW, NOW, "declined", "workflow", "run")


def card(text: str) -> Any:  # noqa: ANN401
    scores = dict.fromkeys((name for name, _ in model_training.METRICS), 0.9)
    holdout = SimpleNamespace(holdout=SimpleNamespace(rows=1))
    return SimpleNamespace(model=text, version=text, metrics=scores, data=holdout)


def action(text: str) -> Action:
    detail = {text: [text]}
    return Action(7, NOW, text, text, 6, text, text, 1000, text, text, detail, text, text)


RENDERINGS: dict[str, Callable[[Screen, str], object]] = {
    "action_text": lambda screen, text: screen.grid(action_text.listed([action(text)])),
    "action_text, verdict": lambda screen, text: action_text.show_verdict(screen, [text], None),
    "audit_text": lambda screen, text: audit_text.show(audit(text), screen),
    "books_text": lambda screen, text: books_text.show_comparison(
        Comparison("stripe", (Account(text, False, NOW, NOW, 1),), (text,), (text,), (text,)),
        screen,
    ),
    "books_text, pulled": lambda screen, text: books_text.show_pulled(
        [Pulled(text, Span(NOW, NOW), 1, 1, False)], text, screen
    ),
    "books_text, filled": lambda screen, text: books_text.show_filled(
        [Filled(Missing(text, text, text, False, NOW, text), Filling.GONE)], screen
    ),
    "cluster_workloads": lambda screen, text: screen.grid(
        cluster_workloads.table_of([Workload("deployment", text, "payments", 1, 0, 1, 2, text)])
    ),
    "dead_letter_text": lambda screen, text: dead_letter_text.show_letter(letter(text), screen),
    "dead_letter_text, groups": lambda screen, text: dead_letter_text.show_groups(
        [group(text), group(text)._replace(resolution=None)], [group(text)], screen
    ),
    "dead_letter_text, results": lambda screen, text: dead_letter_text.show_results(
        [Result(1, text, text, Outcome.REJECTED, text, True, text)], 0, screen, dry_run=False
    ),
    "erasure_text": lambda screen, text: erasure_text.show(
        {"found": {text: 1}, "left": {text: 1}, "replayable_from": text, "neighbours_cut": 1}
        | {"ledger": text, "erasure": text},
        screen,
        as_json=False,
    ),
    "model_training": lambda screen, text: screen.grid(model_training.score_table([card(text)])),
    "policy_simulation": lambda screen, text: policy_simulation.show(
        screen,
        [PolicyComparison(True, text, 2), PolicyComparison(True, text, 2, is_judged=False)],
        DecisionPolicy(text, {}),
        0.9,
        90,
    ),
    "replay_text": lambda screen, text: replay_text.show(replay(text), screen),
    "review_queue": lambda screen, text: screen.grid(review_queue.open_table([review(text)], NOW)),
    "simulation_text": lambda screen, text: simulation_text.show(simulation(text), screen),
    "stack_text": lambda screen, text: screen.grid(
        stack_text.status_table([ComponentStatus(text, text, False, text, 1, 1)])
    ),
    "stack_text, checks": lambda screen, text: stack_text.show_checks(
        [Check(text, False, text, text), Check(text, True, text, text)], screen
    ),
    "trace_text": lambda screen, text: trace_text.show(trace(text, *Stage), screen),
    "trace_text, timeline": lambda screen, text: trace_text.show(
        trace(text, Stage.BRONZE, Stage.QUARANTINE, Stage.RAW, other="evt_2"), screen
    ),
    # Of the terminal itself: everything that takes a text.
    "line": lambda screen, text: screen.line(text, style="red"),
    "verdict": lambda screen, text: screen.verdict(text, ok=True),
    "labelled": lambda screen, text: screen.labelled(text, text, width=9),
    "grid": lambda screen, text: screen.grid(table(text_column(text)), text),
    "facts": lambda screen, text: screen.grid(facts({text: text, "b": styled(text, "red")})),
}
MOVING: dict[str, Callable[[Screen, str], None]] = {}
"""Displays that rich redraws with the cursor; only `rule` is not redrawn, but it fills the line."""
THIN = {
    *("audit_run", "dead_letters", "demo", "erasure_run", "replay_window", "simulation"),
    *("trace_lookup", "bronze", "documents", "lake", "secrets", "stack", "operator_actions"),
    *("catalog", "cluster", "books_run", "provider_api_run"),
}
"""Modules that print whole lines and answers only, through `Screen.line` and `Screen.json`."""


def moving(name: str) -> Callable[[Callable[[Screen, str], None]], None]:
    def add(show: Callable[[Screen, str], None]) -> None:
        MOVING[name] = show

    return add


@moving("status")
def _status(screen: Screen, text: str) -> None:
    with screen.status(text) as update:
        update(text)


@moving("live")
def _live(screen: Screen, text: str) -> None:
    with screen.live() as update:
        update([text, [text], styled(text, "bold")])


@moving("bar")
def _bar(screen: Screen, text: str) -> None:
    with screen.bar(2) as update:
        update(1, text)


@moving("board")
def _board(screen: Screen, text: str) -> None:
    with screen.board([text]) as board:
        board.news(text, text, done=False)
        board.work(text, 2, 1)
        board.news(text, text, done=True)


@moving("rule")
def _rule(screen: Screen, text: str) -> None:
    screen.rule(text)


@pytest.fixture(autouse=True)
def coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def printed(show: Callable[[Screen, str], object], text: str) -> str:
    out = Tty()
    show(Screen(file=out, width=WIDE), text)
    return out.getvalue()


def assert_visible(said: str) -> None:
    """Every character is visible, and no line is one that a text forged."""
    for line in said.split("\n"):
        assert printable(line.replace("\\", "")) == line.replace("\\", "")
        assert not line.startswith(FORGED)


@pytest.mark.parametrize("name", RENDERINGS)
def test_a_terminal_shows_hostile_text_and_obeys_nothing(name: str) -> None:
    usual = printed(RENDERINGS[name], HARMLESS)
    for text in HOSTILE:
        said = printed(RENDERINGS[name], text)
        assert printable(text) in said
        assert said.count("\x1b") == usual.count("\x1b"), f"our colours alone: {text!r}"
        assert said.count("\n") == usual.count("\n"), f"no line is forged: {text!r}"
        assert_visible(said.replace("\x1b", ""))


@pytest.mark.parametrize("name", MOVING)
def test_a_moving_display_obeys_nothing(name: str) -> None:
    for text in HOSTILE:
        said = printed(MOVING[name], text)
        without_the_cursor = re.sub(r"\x1b\[\??[0-9;]*[mAKlh]|\r", "", said)
        assert printable(text) in without_the_cursor
        assert_visible(without_the_cursor)


def test_every_module_that_prints_is_tried() -> None:
    """A new module that prints is named here, or among those that have no text of their own."""
    folder = ROOT / "payment-pipeline" / "src" / "payment_operations"
    prints = {
        path.stem
        for path in folder.rglob("*.py")
        if re.search(r"^from (payment_operations)?\.terminal import .*\b(Screen|Grid)\b",
                     path.read_text().replace("(\n", ""), re.MULTILINE)
    }  # fmt: skip
    tried = {name.split(",")[0] for name in RENDERINGS}
    assert prints - tried - THIN - {"cli"} == set()
    assert prints >= THIN, "these modules print nothing: take them out of THIN"


def test_every_method_of_the_screen_is_tried() -> None:
    tried = {*RENDERINGS, *MOVING, "json", "output", "confirm"}
    methods = {name for name in vars(Screen) if not name.startswith("_")}
    assert methods - tried == {"is_terminal", "width"}


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_json_is_printable_ascii_and_keeps_every_character(text: str) -> None:
    out = io.StringIO()
    answers = [
        trace_text.as_json(trace(text, *Stage)),
        dead_letter_text.letters_as_json([letter(text)]),
        review_queue._as_json(Settings(), review(text)),
        replay_text.as_json(replay(text)),
        {text: text},
    ]
    for answer in answers:
        Screen(file=out).json(answer, default=str)
    lines = out.getvalue().splitlines()
    assert len(lines) == len(answers)
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert json.loads(lines[-1]) == {text: text}
    assert json.loads(printable_json([text], indent=2)) == [text]


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_another_programs_output_is_indented_and_escaped(text: str) -> None:
    out = io.StringIO()
    Screen(file=out).output(f"first\n{text}")
    lines = out.getvalue().removesuffix("\n").split("\n")
    assert all(line.startswith("  ") for line in lines)
    assert_visible("\n".join(lines))


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_a_mistake_is_one_escaped_line(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise UserError(f"{text} does not answer.", 1, output=text)

    monkeypatch.setattr(cli, "application", lambda: fail)
    with pytest.raises(SystemExit):
        cli.main()
    first, *rest = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert first == f"payments: {printable(text)} does not answer."
    assert all(line.startswith("  ") for line in rest)
    assert_visible("\n".join(rest))


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_a_defect_is_an_escaped_traceback(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError(text)
    show_defect(RuntimeError, error, None)
    said = capsys.readouterr().err
    assert_visible(said)


@pytest.mark.parametrize("words", [["TEXT"], ["trace", "--TEXT"], ["audit", "--wait", "TEXT"]])
def test_a_wrong_argument_is_quoted_with_escapes(words: list[str]) -> None:
    application = cli.application()
    for text in HOSTILE:
        given = [word.replace("TEXT", text.replace("\ud800", "")) for word in words]
        result = CliRunner().invoke(application, given, env={"COLUMNS": "500"})
        assert result.exit_code == 2
        assert_visible(result.output)


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_a_line_of_a_log_is_shown_escaped(
    text: str,
    isolated: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(logs, "tail", lambda _path, _lines: text)
    stack_text.show_logs(isolated(), ("gateway",), 1, on=False)
    said = capsys.readouterr().out
    assert_visible(said)
    assert all(line.startswith("gateway") for line in said.splitlines())
