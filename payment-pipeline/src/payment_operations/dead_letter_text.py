"""Dead letters and redrives as JSON and as text for the terminal."""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from payment_pipeline.dlq.dead_letter_store import Group
from payment_pipeline.dlq.redrive import Result
from payment_pipeline.dlq.redrive_plan import SETTLED, Outcome
from payment_pipeline.domain.failures import FailureClass, FieldError

from .terminal import Grid, Screen, fixed_column, instant, minute, number_column, table, text_column

RESULTS_SHOWN_MAX: Final = 40
_LABEL_WIDTH: Final = 11

NEXT_STEPS: Final = {
    Outcome.READY: "run the same command without --dry-run to send these",
    Outcome.REJECTED: "fix the normalizer or give a --patch; close those that will never become "
    "events with `payments dlq dismiss`",
    Outcome.CONFLICT: "bronze keeps the first body: compare both with `payments trace EVENT`, then "
    "`payments dlq dismiss`",
    Outcome.NOT_PATCHED: "the patch does not fit these: select others with --error, or change it",
    Outcome.BODY_LOST: "ask the provider to send these again (Stripe: up to 30 days), then dismiss",
    Outcome.UNDER_WAY: "`payments status` shows which stage is behind; then run the same command "
    "again",
}
"""What to do about the dead letters that stay open, by outcome."""


def groups_as_json(groups: Sequence[Group], on_topics: Sequence[Group] | None) -> dict[str, Any]:
    """The JSON of `payments dlq list`; `only_on_topics` is null if Kafka does not answer."""
    return {
        "groups": [_plain(group._asdict()) for group in groups],
        "only_on_topics": None
        if on_topics is None
        else [_plain(group._asdict()) for group in on_topics],
    }


def show_groups(groups: Sequence[Group], on_topics: Sequence[Group] | None, screen: Screen) -> None:
    """Print the groups in four tables: rejected, conflicting, only on the topics, closed."""
    sections = (
        ("rejected", [g for g in groups if not g.resolution and not _is_conflict(g)]),
        ("conflicting", [g for g in groups if not g.resolution and _is_conflict(g)]),
        ("only on the topics", on_topics or ()),
        ("closed", [g for g in groups if g.resolution]),
    )
    for title, found in sections:
        if found:
            screen.grid(_groups_table(found), title)
    if not on_topics and all(group.resolution for group in groups):
        where = " in the quarantine" if on_topics is None else ""
        screen.line(f"No dead letter is open{where}.", style="green")
    if on_topics is None:
        screen.line("The topics were not searched, because Kafka does not answer.", style="yellow")
    elif on_topics:
        screen.line(
            "Dead letters are only on the topics until a workflow writes them to the quarantine: "
            "`payments status` shows which stage is behind. A redrive writes them first.",
            style="yellow",
        )


def _is_conflict(group: Group) -> bool:
    return group.failure == FailureClass.CONFLICTING_BODY


def _groups_table(groups: Sequence[Group]) -> Grid:
    """One row for each cause; its lines are the class, the error, and an example to show."""
    shown = table(text_column("cause"), number_column("letters"), fixed_column("oldest, newest"))
    for group in groups:
        cause = [f"{group.resolution}: {group.failure}" if group.resolution else group.failure]
        cause += [group.error] if group.error else []
        cause += [f"e.g. {group.example_id}"]
        shown.row(
            cause,
            f"{group.letters:,}",
            [minute(group.oldest_received_at), minute(group.newest_received_at)],
        )
    return shown


# --- one dead letter ----------------------------------------------------------------------------


def letters_as_json(letters: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The JSON of `payments dlq show`; a body is in Base64."""
    return [_plain(letter) for letter in letters]


def show_letter(letter: Mapping[str, Any], screen: Screen) -> None:
    """Print one dead letter."""
    title = f"dead letter {letter['id']}: {letter['failure']}, {_state(letter)}"
    screen.line(title, style="bold")
    for label, text in _lines(letter):
        screen.labelled(label, text, width=_LABEL_WIDTH)
    if letter["body"] is not None:
        screen.line("  the signed body:")
        screen.output(letter["body"].decode("utf-8", "backslashreplace"))


def _lines(letter: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "event", f"{letter['event_id'] or 'no id'}  {letter['provider_event_type'] or ''}"
    yield "provider", letter["provider"]
    for error in letter["errors"]:
        yield "error", FieldError(**error).line
    yield "rejected by", f"{letter['component']} {letter['component_version']}"
    yield "verdict", letter["verdict"]
    yield "received", instant(letter["received_at"])
    yield "rejected", instant(letter["rejected_at"])
    source = letter["source_topic"], letter["source_partition"], letter["source_offset"]
    yield "record", "{}, partition {}, offset {}".format(*source)
    yield "body", f"{letter['body_bytes']:,} bytes, sha256 {letter['body_sha256']}"
    parts = (letter["traceparent"] or "").split("-")
    yield "trace id", parts[1] if len(parts) > 1 else "none"
    yield "workflow", letter["workflow_id"] or "none yet: this dead letter is only on the topic"
    if letter["redriven_body_sha256"]:
        sent = f"{letter['redriven_event_id']}, sha256 {letter['redriven_body_sha256']}"
        yield "sent as", sent
    if letter["patch"]:
        yield "patch", json.dumps(letter["patch"])
    if letter["resolution"]:
        yield "closed", f"{instant(letter['resolved_at'])} by {letter['resolved_by']}"
    if letter["resolution_note"]:
        yield "note", letter["resolution_note"]


def _state(letter: Mapping[str, Any]) -> str:
    return str(letter["resolution"] or "open")


# --- a redrive ----------------------------------------------------------------------------------


def results_as_json(results: Sequence[Result], on_topics: int, *, dry_run: bool) -> dict[str, Any]:
    """The JSON of `payments dlq redrive`."""
    counts = Counter(result.outcome.value for result in results)
    return {
        "dry_run": dry_run,
        "letters": len(results),
        "outcomes": dict(counts),
        "only_on_topics" if dry_run else "brought": on_topics,
        "results": [_plain(result._asdict()) for result in results],
    }


def show_results(
    results: Sequence[Result], on_topics: int, screen: Screen, *, dry_run: bool
) -> None:
    """Print the outcome of each dead letter: first those that are still open."""
    if not results:
        screen.line("No open dead letter matches. Conflicts match only with --conflicts.")
    else:
        screen.grid(_results_table(results))
    if len(results) > RESULTS_SHOWN_MAX:
        rest = len(results) - RESULTS_SHOWN_MAX
        screen.line(f"{rest:,} more are not shown; --json prints all of them", style="dim")
    if dry_run and on_topics:
        screen.line(f"{on_topics:,} more are only on the topics and were not judged.")
    counts = Counter(result.outcome for result in results)
    summary = ", ".join(f"{count:,} {outcome.value}" for outcome, count in counts.most_common())
    screen.line(f"{len(results):,} dead letters: {summary or 'nothing to do'}", style="bold")
    for outcome, step in NEXT_STEPS.items():
        if counts[outcome]:
            screen.line(f"  → {outcome.value}: {step}")


def _results_table(results: Sequence[Result]) -> Grid:
    """One row for each dead letter; its lines are the event, the outcome, the reason or record."""
    shown = table(number_column("letter"), text_column("event, class: outcome"))
    open_first = sorted(results, key=lambda result: result.outcome in SETTLED)
    for result in open_first[:RESULTS_SHOWN_MAX]:
        patched = " (patched)" if result.patched else ""
        lines = [result.event_id or "no event id"]
        lines += [f"{result.failure}: {result.outcome.value}{patched}"]
        lines += [result.reason] if result.reason else []
        lines += [f"sent to {result.sent_to}"] if result.sent_to else []
        shown.row(str(result.letter_id), lines)
    return shown


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in row.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return b64encode(value).decode() if isinstance(value, bytes) else value
