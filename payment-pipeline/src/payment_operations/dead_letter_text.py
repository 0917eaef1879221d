"""How do dead letters read, for a person and for a machine?

Every text that comes from outside passes `safe_text` on its way to a terminal; JSON is ASCII.
"""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from payment_pipeline.dlq.plan import SETTLED, Outcome
from payment_pipeline.dlq.redrive import Result
from payment_pipeline.dlq.safe_text import printable, printable_bytes
from payment_pipeline.dlq.store import Group
from payment_pipeline.domain.failures import FailureClass, FieldError

RESULTS_SHOWN_MAX: Final = 40
EXAMPLE_WIDTH_MIN: Final = 7
_LABEL_WIDTH: Final = 12

NEXT_STEPS: Final = {
    Outcome.READY: "the same command without --dry-run sends these",
    Outcome.REJECTED: "mend the normalizer, or give a --patch; what never will be an event is for "
    "`payments dlq dismiss`",
    Outcome.CONFLICT: "bronze keeps the first body: compare both with `payments trace EVENT`, then "
    "`payments dlq dismiss`",
    Outcome.NOT_PATCHED: "the patch does not suit these: choose them by --error, or try another",
    Outcome.BODY_LOST: "have the provider send these again (Stripe: up to 30 days), then dismiss",
    Outcome.UNDER_WAY: "`payments status` says who is behind; the same command again settles these",
}


def groups_as_json(groups: Sequence[Group], on_topics: Sequence[Group] | None) -> str:
    """`payments dlq list --json`; `null` for the topics where Kafka does not answer."""
    return json.dumps(
        {
            "groups": [_plain(group._asdict()) for group in groups],
            "only_on_topics": None
            if on_topics is None
            else [_plain(group._asdict()) for group in on_topics],
        }
    )


def show_groups(
    groups: Sequence[Group], on_topics: Sequence[Group] | None, console: Console
) -> None:
    """Print the groups: rejected first, conflicts apart, those on the topics, what is closed."""
    sections = (
        ("rejected", [g for g in groups if not g.resolution and not _is_conflict(g)]),
        ("conflicting", [g for g in groups if not g.resolution and _is_conflict(g)]),
        ("only on the topics", on_topics or ()),
        ("closed", [g for g in groups if g.resolution]),
    )
    for title, found in sections:
        if found:
            console.print(_groups_table(title, found))
    if not on_topics and all(group.resolution for group in groups):
        where = " in the quarantine" if on_topics is None else ""
        console.print(f"No dead letter is open{where}.", style="green")
    if on_topics is None:
        console.print("The topics were not looked at: Kafka does not answer.", style="yellow")
    elif on_topics:
        console.print(
            "What lies only on the topics no workflow has brought to the quarantine yet (`payments "
            "status` says who is behind). A redrive brings it first.",
            style="yellow",
        )


def _is_conflict(group: Group) -> bool:
    return group.failure == FailureClass.CONFLICTING_BODY


def _groups_table(title: str, groups: Sequence[Group]) -> Table:
    first = "closed as" if title == "closed" else "class"
    table = Table(
        first, "error", Column("letters", justify="right"), "oldest", "newest",
        # What a person copies from here is whole, however narrow the terminal.
        Column("example", overflow="fold", min_width=EXAMPLE_WIDTH_MIN),
        title=title, title_justify="left",
    )  # fmt: skip
    for group in groups:
        said = f"{group.resolution}: {group.failure}" if group.resolution else group.failure
        table.add_row(
            Text(printable(said)),
            Text(printable(group.error or "")),
            f"{group.letters:,}",
            _minute(group.oldest_received_at),
            _minute(group.newest_received_at),
            Text(printable(str(group.example_id))),
        )
    return table


# --- one letter ---------------------------------------------------------------------------------


def letters_as_json(letters: Sequence[Mapping[str, Any]]) -> str:
    """`payments dlq show --json`; a body in Base64."""
    return json.dumps([_plain(letter) for letter in letters])


def show_letter(letter: Mapping[str, Any], console: Console) -> None:
    """Print one letter."""
    title = f"letter {letter['id']}: {letter['failure']}, {_state(letter)}"
    console.print(Text(printable(title), style="bold"))
    for label, text in _lines(letter):
        console.print(Text(f"  {label:<{_LABEL_WIDTH}}{printable(text)}"), soft_wrap=True)
    if letter["body"] is not None:
        console.print(Text("  body, as it was signed:"))
        console.print(Text(printable_bytes(letter["body"])), soft_wrap=True)


def _lines(letter: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "event", f"{letter['event_id'] or 'no id'}  {letter['provider_event_type'] or ''}"
    yield "provider", letter["provider"]
    for error in letter["errors"]:
        yield "error", FieldError(**error).line
    yield "rejected by", f"{letter['component']} {letter['component_version']}"
    yield "verdict", letter["verdict"]
    yield "received", _instant(letter["received_at"])
    yield "rejected", _instant(letter["rejected_at"])
    source = letter["source_topic"], letter["source_partition"], letter["source_offset"]
    yield "record", "{}, partition {}, offset {}".format(*source)
    yield "body", f"{letter['body_bytes']:,} bytes, sha256 {letter['body_sha256']}"
    parts = (letter["traceparent"] or "").split("-")
    yield "trace id", parts[1] if len(parts) > 1 else "none"
    yield "workflow", letter["workflow_id"] or "none yet: it lies only on the topic"
    if letter["redriven_body_sha256"]:
        sent = f"{letter['redriven_event_id']}, sha256 {letter['redriven_body_sha256']}"
        yield "sent as", sent
    if letter["patch"]:
        yield "patch", json.dumps(letter["patch"])
    if letter["resolution"]:
        yield "closed", f"{_instant(letter['resolved_at'])} by {letter['resolved_by']}"
    if letter["resolution_note"]:
        yield "note", letter["resolution_note"]


def _state(letter: Mapping[str, Any]) -> str:
    return str(letter["resolution"] or "open")


# --- a redrive ----------------------------------------------------------------------------------


def results_as_json(results: Sequence[Result], on_topics: int, *, dry_run: bool) -> str:
    """`payments dlq redrive --json`."""
    counts = Counter(result.outcome.value for result in results)
    return json.dumps(
        {
            "dry_run": dry_run,
            "letters": len(results),
            "outcomes": dict(counts),
            "only_on_topics" if dry_run else "brought": on_topics,
            "results": [_plain(result._asdict()) for result in results],
        }
    )


def show_results(
    results: Sequence[Result], on_topics: int, console: Console, *, dry_run: bool
) -> None:
    """Print what became of each letter: first those that are still open."""
    if not results:
        console.print("No open letter is meant by that; conflicts only with --conflicts.")
    else:
        console.print(_results_table(results))
    if len(results) > RESULTS_SHOWN_MAX:
        rest = len(results) - RESULTS_SHOWN_MAX
        console.print(f"and {rest:,} more: --json has them all", style="dim")
    if dry_run and on_topics:
        console.print(f"{on_topics:,} more lie only on the topics and were not judged.")
    counts = Counter(result.outcome for result in results)
    said = ", ".join(f"{count:,} {outcome.value}" for outcome, count in counts.most_common())
    console.print(f"{len(results):,} letters: {said or 'nothing to do'}", style="bold")
    for outcome, step in NEXT_STEPS.items():
        if counts[outcome]:
            console.print(f"  → {outcome.value}: {step}", markup=False, soft_wrap=True)


def _results_table(results: Sequence[Result]) -> Table:
    table = Table("letter", "event", "class", "outcome", "why", "sent to")
    open_first = sorted(results, key=lambda result: result.outcome in SETTLED)
    for result in open_first[:RESULTS_SHOWN_MAX]:
        patched = " (patched)" if result.patched else ""
        cells = (
            str(result.letter_id),
            result.event_id or "no id",
            result.failure,
            f"{result.outcome.value}{patched}",
            result.reason or "",
            result.sent_to or "",
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in row.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return b64encode(value).decode() if isinstance(value, bytes) else value


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def _minute(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
