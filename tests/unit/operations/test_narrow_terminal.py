"""What the commands print on a terminal of 80 columns: nothing is cut, no columns run together."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from local_stack.component import Check
from local_stack.stack import ComponentStatus
from payment_operations import (
    audit_text,
    dead_letter_text,
    erasure_text,
    model_training,
    replay_text,
    review_queue,
    simulation_text,
    stack_text,
    trace_text,
)
from payment_operations.terminal import Grid, Screen, facts
from payment_pipeline.dlq.dead_letter_store import Group
from payment_pipeline.dlq.redrive import Result
from payment_pipeline.dlq.redrive_plan import Outcome
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.ledger.audit_runner import Report as Audit
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.event_trace import Sighting, Trace
from payment_pipeline.ledger.reconciliation import reconcile
from payment_pipeline.ledger.stage_tally import Money, Seen
from payment_pipeline.ledger.stages import Reading, Stage
from payment_pipeline.ledger.workflow_runs import Run
from payment_pipeline.orchestrator.reviews import OpenReview
from payment_pipeline.replay.replay_outcome import ReplayOutcome as Outcome_
from payment_pipeline.replay.replay_outcome import Report as Replay

WIDTH = 80
NOW = datetime(2026, 1, 31, 12, 0, 5, 250_000, UTC)
PAYMENT = "pi_3TYg4yb3RUU8e4jQOdmnh3c0123456789abc"
CUSTOMER = "cus_7m0IhDbEJScDcQ0123456789abcdefghij"
MERCHANT = "acct_1032D82eZvKYlo2C0123456789abcdef"
EVENT = "evt_1LPBxXFAQKvN47vKWVuJEhBR0123456789ab"
RECORD = "webhooks.stripe.payment_intent/11/12345678"
PATH = "/srv/payments/production/europe-west/var/simulator/ledger-1-20260131T120000000000Z.jsonl"
ERROR = "data.object.payment_method_details.card.brand: should be a string, is a very large number"
BIG = 2**60


def printed(show: Callable[[Screen], object]) -> str:
    out = io.StringIO()
    show(Screen(file=out, width=WIDTH))
    return out.getvalue()


def rendered(table: Grid) -> str:
    """A table, which has to fit."""
    text = printed(lambda screen: screen.grid(table))
    assert max(map(len, text.splitlines())) <= WIDTH
    return text


def assert_nothing_is_cut(text: str, *whole: str) -> None:
    assert "…" not in text
    for each in whole:
        assert each in text, f"{each} is not on one line of\n{text}"


def squeezed(text: str) -> str:
    """Without the white space that folding puts into a text."""
    return "".join(text.split())


def test_a_review_has_its_ids_and_its_outcome_on_timeout() -> None:
    review = OpenReview(
        PAYMENT, CUSTOMER, MERCHANT, 0.934, NOW, NOW + timedelta(hours=23, minutes=58), "declined",
        f"review/stripe/{PAYMENT}", "run",
    )  # fmt: skip
    text = rendered(review_queue.open_table([review], NOW))
    assert_nothing_is_cut(text, PAYMENT, f"customer {CUSTOMER}", f"merchant {MERCHANT}")
    assert_nothing_is_cut(text, "0.93", "23h 58m", "declined")


def test_a_review_without_customer_and_merchant_has_one_line() -> None:
    review = OpenReview(PAYMENT, None, None, 1.0, NOW, NOW, "approved", "w", "r")
    text = rendered(review_queue.open_table([review], NOW))
    assert "customer" not in text
    assert len(text.strip().splitlines()) == 4


@pytest.mark.parametrize("event_id", [EVENT, "evt_" + "x" * 251])
def test_a_redrive_has_every_id_reason_and_destination(event_id: str) -> None:
    results = [
        Result(1234567, event_id, "unknown_currency", Outcome.REJECTED, ERROR),
        Result(1234568, event_id, "conflicting_body", Outcome.WRITTEN, None, True, RECORD),
    ]
    text = printed(lambda screen: dead_letter_text.show_results(results, 0, screen, dry_run=False))
    assert_nothing_is_cut(text, "1234567", "unknown_currency", "rejected_again")
    assert_nothing_is_cut(text, "conflicting_body: written (patched)", f"sent to {RECORD}")
    if event_id == EVENT:
        assert_nothing_is_cut(text, EVENT)


def test_a_group_of_dead_letters_has_its_error_and_its_example() -> None:
    group = Group(
        "stripe", "unknown_currency", "normalizer", ERROR, None, 123_456, NOW, NOW, RECORD
    )
    text = printed(lambda screen: dead_letter_text.show_groups([group], [group], screen))
    assert_nothing_is_cut(text, "unknown_currency", "123,456", RECORD, "2026-01-31 12:00")
    assert squeezed(ERROR[-20:]) in squeezed(text)


def sighting(**more: object) -> Sighting:
    row: dict[str, Any] = {
        "id": 204, "payment_id": PAYMENT, "amount_minor": 123_456_789, "currency": "USD",
        "currency_exponent": 2, "status": "requires_payment_method", "occurred_at": NOW,
        "ingested_at": NOW, "inference_status": "scored",
        "scores": {
            "retry_strategy": {
                "value": "authenticate", "model": "retry_strategy", "version": "20260131-0123abcd",
                "reasons": [{"feature": "decline_code", "contribution": 0.5}],
                "detail": {"wait": "3 days"},
            }
        },
    }  # fmt: skip
    return Sighting(
        Stage.BRONZE, "stripe", EVENT, "payment_intent.payment_failed", NOW,
        Coordinates("webhooks.stripe.payment_intent", 11, 12_345_678), "a" * 32,
        "ingest/payments.normalized/11/12345678-12346789", {**row, **more},
    )  # fmt: skip


def trace(*sightings: Sighting) -> Trace:
    run = Run(
        "ingest/payments.normalized/11/12345678-12346789",
        "u",
        "IngestRange",
        "completed",
        None,
        NOW,
        NOW,
    )
    decision = {"workflow_id": "w", "kind": "review", "outcome": "approved", "decided_at": NOW}
    return Trace(PAYMENT, sightings, (run,), (decision,), None)


def test_no_label_of_a_trace_runs_into_its_value() -> None:
    text = printed(lambda screen: trace_text.show(trace(sighting()), screen))
    assert_nothing_is_cut(text, "retry_strategy  authenticate, by retry_strategy 20260131-0123abcd")
    starts = {line[16:18] for line in text.splitlines()[1:]}
    assert starts == {"  "}, "two spaces behind every label"


def test_a_timeline_of_a_payment_names_each_event() -> None:
    other = Sighting(
        Stage.BRONZE, "stripe", "evt_2", "customer.subscription.trial_will_end", NOW,
        Coordinates("webhooks.stripe.customer", 1, 2), None, None, sighting().more,
    )  # fmt: skip
    text = printed(lambda screen: trace_text.show(trace(sighting(), other), screen))
    assert_nothing_is_cut(text, EVENT, "customer.subscription.trial_will_end  ", "evt_2")


def audit(days: int) -> Audit:
    """Every stage has events of each day, with amounts of 19 digits, and totals that differ."""
    reading = Reading()
    for stage in (Stage.LAKE, Stage.LAKE_QUARANTINE, Stage.FACTS):
        reading.renew(stage)
    way = (Stage.RAW, Stage.NORMALIZED, Stage.BRONZE, Stage.LAKE, Stage.FACTS)
    for day in range(1, days + 1):
        for number, stage in enumerate(way):
            seen = Seen(None, f"evt_{day}", f"{day:032x}" * 2, Money("EUR", BIG + number))
            reading.stages[stage].add(seen, day)
    return Audit(reconcile(reading), Window(None, NOW, True), True, None, 0.5)


def test_an_audit_has_every_stage_and_every_digit() -> None:
    found = audit(days=2)
    text = printed(lambda screen: audit_text.show(found, screen))
    tables = text.split("not clean")[0]
    assert max(map(len, tables.splitlines())) <= WIDTH
    assert_nothing_is_cut(tables, "lake_quarantine", "quarantine", "unmodelled", "facts")
    by_day = tables[tables.index("By day of receipt") :]
    for number in range(5):
        assert f"{BIG + number:,}" in by_day
    assert by_day.count("By day of receipt") > 1, "the stages are in several tables"
    assert len(found.audit.days) == 2


def test_the_tables_of_days_have_each_stage_once() -> None:
    text = printed(lambda screen: audit_text.show(audit(days=3), screen))
    heads = [line for line in text.splitlines() if line.startswith("day ")]
    stages = " ".join(heads).replace("day", "").split()
    assert len(stages) == len(set(stages))
    assert {"raw", "bronze", "lake", "lake_quarantine", "facts"} <= set(stages)


def test_an_erasure_has_every_location_and_both_counts() -> None:
    answer = {
        "found": {"s3://lakehouse/data/payment_events_quarantine/metadata/history": 1_234_567},
        "left": {"marts.dim_customer": 0},
    }
    text = rendered(erasure_text._table(answer["found"], answer["left"]))
    assert_nothing_is_cut(text, "marts.dim_customer", "1,234,567", *answer["found"])


def test_a_replay_has_every_outcome_and_id() -> None:
    report = Replay("replay/2026-01-31T12:00:00Z", dry_run=False)
    for outcome in Outcome_:
        report.outcomes[outcome] = 1_234_567
    report.note(Outcome_.NO_LONGER_TAKEN, "stripe", EVENT, ERROR)
    text = printed(lambda screen: replay_text.show(report, screen))
    assert_nothing_is_cut(text, EVENT, "payment_events_history")
    for meaning in replay_text.MEANINGS.values():
        assert squeezed(meaning) in squeezed(text)


def test_the_status_has_every_address() -> None:
    address = "postgresql://payments@postgres-primary.europe-west.internal:25432/payments"
    statuses = [
        ComponentStatus("dagster-webserver", "running", True, address, 1_234_567, 1_234_567),
        ComponentStatus("normalizer", "backoff", False, "127.0.0.1:9102", None, None),
    ]
    text = rendered(stack_text.status_table(statuses))
    assert_nothing_is_cut(text, "dagster-webserver", "1234567 s", "not ready", "127.0.0.1:9102")
    assert squeezed(address[-12:]) in squeezed(text)


def test_a_red_check_has_its_remedy() -> None:
    checks = [Check("Port 65535", False, f"taken by {PATH}", f"free it: {PATH}")]
    text = printed(lambda screen: stack_text.show_checks(checks, screen))
    assert_nothing_is_cut(text, f"Port 65535           taken by {PATH}", f"→ free it: {PATH}")


def test_the_models_have_every_score() -> None:
    scores = dict.fromkeys((name for name, _ in model_training.METRICS), 0.9876)
    data = SimpleNamespace(holdout=SimpleNamespace(rows=1_234_567))
    card: Any = SimpleNamespace(
        model="retry_strategy", version="20260131T120000-0123456789ab", metrics=scores, data=data
    )
    text = rendered(model_training.score_table([card]))
    assert_nothing_is_cut(text, "retry_strategy", "20260131T120000-0123456789ab", "1,234,567")
    assert text.count("0.988") == len(scores)


def test_a_simulation_has_its_ledger_and_every_count() -> None:
    summary = {
        "events": 15_000_000, "deliveries": 15_000_000, "attempts": 15_000_000,
        "faults": dict.fromkeys(("altered", "bad_signature", "duplicate", "malformed"), BIG),
        "answers": dict.fromkeys((200, 400, 401, 413, 503, "no answer"), BIG),
        "rate_per_s": 12_345.6, "seconds": 12_345.6,
        "latency_ms": {"p50": 1.0, "p95": 10.0, "p99": 10_000.0, "max": 10_000.0},
        "expected": {"payments.normalized": BIG, "payments.validation.dlq": BIG},
        "ledger": PATH,
    }  # fmt: skip
    text = rendered(simulation_text.figures(summary))
    assert "…" not in text
    for value in (PATH, "payments.validation.dlq", "bad_signature", "10,000.0 ms", f"{BIG:,}"):
        assert squeezed(value) in squeezed(text)


def test_links_are_folded_and_not_cut() -> None:
    link = f"http://127.0.0.1:18088, as admin with the password in {PATH}"
    text = rendered(facts({"Superset": link, "audit": "clean"}))
    assert "…" not in text
    assert squeezed(link) in squeezed(text)
