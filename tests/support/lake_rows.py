"""Rows of the lake after simulated traffic, as the loader writes them.

The events come from the simulator and are normalized by the provider's own code. Only their scores
are invented, so that no model has to be trained. All rows follow from the seed.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any, Final, TypeAlias

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError

from payment_pipeline.bronze.contract import (
    AUDITS,
    AUDITS_TABLE,
    DECISIONS,
    DECISIONS_TABLE,
    EVENTS,
    EVENTS_TABLE,
    QUARANTINE,
    QUARANTINE_TABLE,
    Column,
    InferenceStatus,
)
from payment_pipeline.bronze.rows import COLUMNS, ScoredEvent, to_record
from payment_pipeline.domain.events import Dispute, FraudWarning, PaymentEvent
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.domain.scoring import EventScores, Reason, Score
from payment_pipeline.providers import Context, providers
from payment_pipeline.simulator import traffic
from payment_pipeline.simulator.world import Event

Row: TypeAlias = dict[str, Any]

UNTIL: Final = datetime(2026, 6, 30, tzinfo=UTC)
DAYS: Final = 90
RECEIVED_AT: Final = datetime(2026, 7, 1, 12, tzinfo=UTC)
ROWS_PER_TRANSACTION: Final = 100
TABLES: Final = {
    EVENTS_TABLE: EVENTS,
    QUARANTINE_TABLE: QUARANTINE,
    DECISIONS_TABLE: DECISIONS,
    AUDITS_TABLE: AUDITS,
}
"""The columns of each table of the lake."""

ARROW: Final = {
    "text": pa.string(),
    "jsonb": pa.string(),
    "boolean": pa.bool_(),
    "smallint": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "xid8": pa.int64(),
    "double precision": pa.float64(),
    "bytea": pa.binary(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}

_SCORED_FOR_FRAUD: Final = (
    *("payment.created", "payment.requires_action", "payment.amount_capturable_updated"),
    *("payment.succeeded", "charge.succeeded", "charge.captured"),
)
_FAILED: Final = ("payment.failed", "charge.failed", "invoice.payment_failed")
_DELAYS_S: Final = {"retry_in_24h": 86_400.0, "retry_in_72h": 259_200.0, "retry_at_payday": 6e5}
_STRATEGIES: Final = (*_DELAYS_S, "ask_customer")
_REASONS: Final = [Reason(feature="customer_failures_30d", contribution=0.1)]
REVIEWED_ABOVE: Final = 0.9


@cache
def simulated(seed: int, count: int, until: datetime = UNTIL) -> tuple[Event, ...]:
    """The first `count` events of the simulator's days up to `until`, in their true order."""
    return tuple(traffic.events(seed, count, traffic.Period(until=until, days=DAYS)))


@cache
def events(seed: int, count: int, until: datetime = UNTIL) -> tuple[PaymentEvent, ...]:
    """The first `count` events of the simulator's days up to `until`, normalized, in true order."""
    context = Context(pseudonym_key=b"test", normalizer_version="1")
    found = []
    for offset, sent in enumerate(simulated(seed, count, until)):
        raw = RawEvent(
            provider="stripe",
            coordinates=Coordinates(topic="webhooks.stripe.other", partition=0, offset=offset),
            body=sent.body,
            event_id=sent.event_id,
            body_sha256=sha256(sent.body).hexdigest(),
            received_at=RECEIVED_AT + timedelta(milliseconds=offset),
            verdict="verified:stripe:test",
            traceparent=None,
        )
        event = providers()["stripe"].normalize(raw, context)
        if not isinstance(event, Rejected | Unmodelled):
            found.append(event)
    return tuple(found)


@cache
def event_rows(seed: int, count: int, until: datetime = UNTIL) -> tuple[Row, ...]:
    """The events as rows, without the columns that PostgreSQL fills in: `loaded` adds them."""
    found = events(seed, count, until)
    reported = {
        event.payment_id
        for event in found
        if isinstance(event, FraudWarning)
        or (isinstance(event, Dispute) and event.reason == "fraudulent")
    }
    return tuple(_row(event, event.payment_id in reported) for event in found)


def decision_rows(rows: Iterable[Row]) -> list[Row]:
    """A review of each payment with a high score, and a recovery of each failed payment."""
    made: dict[str, Row] = {}
    paid = {row["payment_id"] for row in rows if row["event_type"] == "payment.succeeded"}
    for row in rows:
        score = row["fraud_score"]
        if row["event_type"] == "charge.succeeded" and score is not None and score > REVIEWED_ABOVE:
            answer = "declined" if _share(row["payment_id"]) < 0.7 else "approved"
            opened = _decision(row, "review", 1, "pending", fraud_score=score)
            review = _decision(row, "review", 2, answer, fraud_score=score, decided_by="ada")
            made.setdefault(opened["workflow_id"], opened)
            made.setdefault(opened["workflow_id"] + "/2", review)
        elif row["event_type"] == "payment.failed" and row["retry_strategy"] in _DELAYS_S:
            ended = "recovered" if row["payment_id"] in paid else "exhausted"
            last = _decision(row, "recovery", 1, ended, strategy=row["retry_strategy"])
            made.setdefault(last["workflow_id"], last)
    return list(made.values())


def rejection_rows(count: int) -> list[Row]:
    """Dead letters: signed webhooks that could not be normalized."""
    return [
        {
            "source_topic": "webhooks.stripe.charge",
            "source_partition": 0,
            "source_offset": offset,
            "failure": ("invalid", "unparseable")[offset % 2],
            "provider": "stripe",
            "errors": "[]",
            "component": "normalizer",
            "component_version": "1",
            "body": b"{}",
            "body_sha256": sha256(b"{}").hexdigest(),
            "verdict": "verified:stripe:test",
            "received_at": RECEIVED_AT,
            "rejected_at": RECEIVED_AT,
            "workflow_id": "test",
        }
        for offset in range(count)
    ]


def audit_row(received: int, rejected: int, unmodelled: int, audited_at: datetime) -> Row:
    """The figures of a clean audit of the given number of webhooks."""
    accepted = received - rejected - unmodelled
    faults = ("missing", "duplicated", "unexplained", "mismatched")
    return {
        "audit_id": f"{received}-{audited_at.isoformat()}",
        "audited_at": audited_at,
        "asked_by": "schedule",
        "window_since": audited_at - timedelta(hours=1),
        "window_until": audited_at,
        "is_clean": True,
        "is_settled": True,
        "has_client_ledger": False,
        "received_events": received,
        "normalized_events": accepted,
        "rejected_events": rejected,
        "unmodelled_events": unmodelled,
        "bronze_events": accepted,
        "quarantine_events": rejected,
        "lake_events": accepted,
        "facts_events": accepted,
        "pending_events": 0,
        **{f"{fault}_events": 0 for fault in faults},
        "elapsed_s": 1.0,
    }


def loaded(rows: Sequence[Row], after: int = 0) -> list[Row]:
    """The rows with the columns that PostgreSQL fills in, numbered after `after` earlier rows."""
    return [
        row
        | {
            "id": number,
            "ingest_xid": 1_000 + number // ROWS_PER_TRANSACTION,
            "ingested_at": RECEIVED_AT + timedelta(minutes=5, milliseconds=number),
        }
        for number, row in enumerate(rows, start=after)
    ]


def arrow(columns: Sequence[Column], rows: Sequence[Row]) -> pa.Table:
    """The rows in the contract's columns. A column that a row lacks is null."""
    schema = pa.schema(
        [pa.field(each.name, ARROW[each.type], nullable=each.nullable) for each in columns]
    )
    return pa.Table.from_pylist(list(rows), schema=schema)


def append(catalog: Catalog, namespace: str, tables: Mapping[str, Sequence[Row]]) -> None:
    """Appends rows to the lake tables of a namespace, and creates all tables."""
    with suppress(NamespaceAlreadyExistsError):
        catalog.create_namespace(namespace)
    for name, columns in TABLES.items():
        identifier = f"{namespace}.{name}"
        found = arrow(columns, tables.get(name, ()))
        table = catalog.create_table_if_not_exists(identifier, schema=found.schema)
        if len(found):
            table.append(found)


def _row(event: PaymentEvent, reported: bool) -> Row:
    scores = _scores(event, reported)
    status = InferenceStatus.SCORED if scores else InferenceStatus.NOT_APPLICABLE
    record = to_record(ScoredEvent(event, scores, status), workflow_id="test")
    row = dict(zip(COLUMNS, record, strict=True))
    return row | {name: _text(row[name]) for name in ("attributes", "scores")}


def _scores(event: PaymentEvent, reported: bool) -> EventScores | None:
    share = _share(event.event_id)
    answers: dict[str, Score] = {}
    if event.event_type in _SCORED_FOR_FRAUD:
        value = 0.5 + share / 2 if reported else share**3
        answers["fraud_score"] = _score(round(value, 6), "fraud")
    if event.kind == "subscription" and event.status in ("active", "past_due", "trialing"):
        answers["churn_score"] = _score(round(share**2, 6), "churn")
    if event.event_type in _FAILED:
        strategy = _STRATEGIES[int(share * len(_STRATEGIES))]
        delay_s = _DELAYS_S.get(strategy)
        detail: dict[str, float | str] | None = {"delay_s": delay_s} if delay_s else None
        answers["retry_strategy"] = _score(strategy, "retry_strategy", detail)
    return EventScores(event_id=event.event_id, **answers) if answers else None


def _score(value: float | str, model: str, detail: dict[str, float | str] | None = None) -> Score:
    return Score(value=value, model=model, version="test", reasons=_REASONS, detail=detail)


def _decision(row: Row, kind: str, step: int, outcome: str, **more: object) -> Row:
    return {
        "workflow_id": f"{kind}/{row['provider']}/{row['payment_id']}",
        "step": step,
        "kind": kind,
        "outcome": outcome,
        "decided_at": row["occurred_at"] + timedelta(hours=step),
        **{name: row[name] for name in ("provider", "payment_id", "event_id")},
        **{name: row[name] for name in ("customer_id", "merchant_id")},
        **more,
    }


def _share(text: str) -> float:
    """A number in [0, 1) that depends only on the text."""
    return int.from_bytes(sha256(text.encode()).digest()[:6]) / 2**48


def _text(json: bytes | None) -> str | None:
    return None if json is None else json.decode()
