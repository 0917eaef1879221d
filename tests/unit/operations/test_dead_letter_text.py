"""Dead letters and redrives as text and as JSON."""

import io
import json
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

import pytest

from payment_operations import dead_letter_text
from payment_operations.terminal import Screen
from payment_pipeline.dlq.dead_letter_store import Group
from payment_pipeline.dlq.redrive import Result, all_settled
from payment_pipeline.dlq.redrive_plan import Outcome

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
EVIL = "evt_\x1b]0;owned\x07[red]"


def group(failure: str = "invalid", resolution: str | None = None, error: str = "x") -> Group:
    return Group("stripe", failure, "normalizer", error, resolution, 3, AT, AT, 17)


def letter(**changes: object) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("resolution", "resolved_at", "resolved_by", "resolution_note", "redriven_event_id"),
    )
    return {
        "id": 17,
        "provider": "stripe",
        "event_id": EVIL,
        "provider_event_type": "charge.succeeded",
        "failure": "invalid",
        "errors": [{"path": EVIL, "message": "is missing"}],
        "component": "normalizer",
        "component_version": "1",
        "verdict": "verified:stripe:9f2c1a",
        "received_at": AT,
        "rejected_at": AT,
        "source_topic": "webhooks.stripe.charge",
        "source_partition": 1,
        "source_offset": 9,
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "workflow_id": "ingest/x",
        "body_sha256": "0" * 64,
        "body_bytes": 2,
        "body": None,
        "redriven_body_sha256": None,
        "patch": None,
        **empty,
        **changes,
    }


def printed(show: Any, *given: object, width: int = 200, **named: object) -> str:  # noqa: ANN401
    out = io.StringIO()
    show(*given, Screen(file=out, width=width), **named)
    return out.getvalue()


def test_rejected_conflicting_and_closed_have_their_own_tables() -> None:
    groups = [group(), group("conflicting_body"), group(resolution="written"), group(error=EVIL)]
    on_topics = [
        group()._replace(example_id="webhooks.stripe.charge/1/37"),
        group()._replace(example_id=EVIL),
    ]
    said = printed(dead_letter_text.show_groups, groups, on_topics)
    titles = ("rejected", "conflicting", "only on the topics", "closed")
    positions = [said.index(title) for title in titles]
    assert positions == sorted(positions)
    assert "webhooks.stripe.charge/1/37" in said
    assert "\x1b" not in said
    assert "[red]" in said
    told = json.loads(json.dumps(dead_letter_text.groups_as_json(groups, None)))
    assert told["only_on_topics"] is None
    assert told["groups"][0]["oldest_received_at"] == AT.isoformat()


def test_without_open_dead_letters_it_says_so() -> None:
    assert "No dead letter is open." in printed(dead_letter_text.show_groups, [], [])
    unseen = printed(dead_letter_text.show_groups, [], None)
    assert "not searched" in unseen
    assert "No dead letter is open." not in unseen


def test_an_example_id_is_on_one_line_of_a_narrow_terminal() -> None:
    record = "webhooks.stripe.payment_intent/11/123456"
    on_topics = [group()._replace(example_id=record)]
    said = printed(dead_letter_text.show_groups, [], on_topics, width=80)
    assert f"e.g. {record}" in said


def test_a_dead_letter_shows_everything_but_its_body() -> None:
    said = printed(dead_letter_text.show_letter, letter())
    for part in ("verified:stripe:9f2c1a", "a" * 32, "partition 1, offset 9", "open", "is missing"):
        assert part in said
    assert "\x1b" not in said
    assert "body, as it was signed" not in said
    said = printed(dead_letter_text.show_letter, letter(body=b"{\x1b[2J}"))
    assert r"{\x1b[2J}" in said
    assert "\x1b" not in said
    (told,) = json.loads(json.dumps(dead_letter_text.letters_as_json([letter(body=b"\xff")])))
    assert b64decode(told["body"]) == b"\xff"


def test_a_closed_dead_letter_shows_how_and_by_whom() -> None:
    closed = letter(
        resolution="written",
        resolved_at=AT,
        resolved_by="ana",
        resolution_note="was EUR",
        redriven_event_id="evt_1",
        redriven_body_sha256="1" * 64,
        patch=[{"op": "remove", "path": "/a"}],
    )
    said = printed(dead_letter_text.show_letter, closed)
    assert "written" in said
    assert "12:00:00.000Z by ana" in said
    assert "was EUR" in said
    assert '"op": "remove"' in said


@pytest.mark.parametrize("outcome", Outcome)
def test_every_open_outcome_has_a_next_step(outcome: Outcome) -> None:
    results = [Result(1, EVIL, "invalid", outcome, EVIL)]
    said = printed(dead_letter_text.show_results, results, 0, dry_run=False)
    assert (f"→ {outcome.value}: " in said) != all_settled(results)
    assert "\x1b" not in said


def test_open_dead_letters_are_shown_first() -> None:
    done = [Result(number, f"evt_{number}", "invalid", Outcome.WRITTEN) for number in range(100)]
    results = [*done, Result(100, "evt_open", "invalid", Outcome.CONFLICT)]
    said = printed(dead_letter_text.show_results, results, 0, dry_run=False)
    assert "evt_open" in said
    assert "61 more" in said
    assert "101 dead letters: 100 written, 1 conflict" in said
    told = json.loads(json.dumps(dead_letter_text.results_as_json(results, 0, dry_run=True)))
    assert (told["letters"], told["outcomes"]) == (101, {"written": 100, "conflict": 1})
