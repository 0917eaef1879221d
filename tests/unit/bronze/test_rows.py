"""An event is unchanged after it was a row."""

from datetime import UTC, datetime
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.bronze import rows
from payment_pipeline.bronze.contract import EVENTS, InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent, UnstorableError
from payment_pipeline.domain import event_fields, event_parts, events
from payment_pipeline.domain.declines import DeclineReason
from payment_pipeline.domain.events import KINDS, EventBase, PaymentEvent
from payment_pipeline.domain.scoring import EventScores, Reason, Score
from support import bare_event

AT = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)
COMMON = {
    "provider": "stripe",
    "event_id": "evt_1",
    "provider_event_type": "any",
    "occurred_at": AT,
    "received_at": AT,
    "livemode": True,
    "body_sha256": "0" * 64,
    "source": {"topic": "webhooks.stripe.charge", "partition": 3, "offset": 7},
    "normalizer_version": "1",
}
SCORES = EventScores(
    event_id="evt_1",
    fraud_score=Score(
        value=0.25, model="fraud", version="7", reasons=[Reason(feature="f", contribution=1.5)]
    ),
    retry_strategy=Score(value="in_3_days", model="retry", version="2", reasons=[]),
)


def event_of(kind: type[EventBase], **fields: object) -> PaymentEvent:
    event_type = get_args(kind.model_fields["event_type"].annotation)[0]
    given: dict[str, Any] = {**COMMON, **fields}
    return bare_event.event(event_type, **given)


def stored(row: ScoredEvent) -> dict[str, Any]:
    """The row as PostgreSQL gives it back."""
    record = dict(zip(rows.COLUMNS, rows.to_record(row, "wf"), strict=True))
    return record | {"attributes": orjson.loads(record["attributes"])}


def test_columns_are_the_contract() -> None:
    assert sorted({*rows.COLUMNS, *rows.FILLED_BY_POSTGRES}) == sorted(c.name for c in EVENTS)
    assert len(set(rows.COLUMNS)) == len(rows.COLUMNS)


@pytest.mark.parametrize("kind", KINDS.values())
def test_common_columns_are_fields_of_every_kind(kind: type[EventBase]) -> None:
    assert set(rows.COMMON) <= set(kind.model_fields)


values = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))


@given(
    status=st.sampled_from(get_args(event_fields.PaymentStatus)),
    provider_status=values,
    previous=st.none()
    | st.builds(event_parts.Previous, status=values, amount_refunded_minor=st.none() | st.just(7)),
    identity_sha256=st.none() | st.just("a" * 64),
    decline=st.builds(
        event_parts.Decline,
        reason=st.none() | st.sampled_from(DeclineReason),
        code=values,
        advice_code=values,
    ),
    risk=st.none() | st.builds(event_parts.Risk, level=values, score=st.none() | st.just(0)),
    amount_minor=st.integers(-(2**63), 2**63 - 1),
    amount_refunded_minor=st.none() | st.integers(-(2**63), 2**63 - 1),
    captured=st.none() | st.booleans(),
)
def test_charge_comes_back_equal(**fields: object) -> None:
    event = event_of(events.Charge, **fields)
    row = ScoredEvent(event, None, InferenceStatus.UNAVAILABLE)
    assert rows.to_event(stored(row)) == event


@pytest.mark.parametrize("kind", KINDS.values())
def test_every_kind_comes_back_equal(kind: type[EventBase]) -> None:
    event = event_of(kind)
    assert rows.to_event(stored(ScoredEvent(event, None, InferenceStatus.UNAVAILABLE))) == event


def test_attributes_are_the_contract_s_json_without_nulls_and_common_fields() -> None:
    event = event_of(
        events.Subscription, trial_end_at=AT, interval="month", cancel_at_period_end=False
    )
    record = stored(ScoredEvent(event, None, InferenceStatus.UNAVAILABLE))
    assert record["attributes"] == {
        "trial_end_at": "2026-01-31T12:00:00.123456Z",
        "interval": "month",
        "cancel_at_period_end": False,
    }
    as_message = event.model_dump(mode="json", exclude_none=True)
    assert record["attributes"].items() <= as_message.items()


def test_scores_are_columns_and_keep_their_reasons() -> None:
    record = stored(ScoredEvent(event_of(events.Charge), SCORES, InferenceStatus.SCORED))
    assert record["fraud_score"] == 0.25
    assert record["churn_score"] is None
    assert record["retry_strategy"] == "in_3_days"
    assert record["inference_status"] == "scored"
    assert orjson.loads(record["scores"]) == {
        "fraud_score": {
            "value": 0.25,
            "model": "fraud",
            "version": "7",
            "reasons": [{"feature": "f", "contribution": 1.5}],
        },
        "retry_strategy": {
            "value": "in_3_days",
            "model": "retry",
            "version": "2",
            "reasons": [],
        },
    }


def test_coordinates_and_workflow_are_kept() -> None:
    record = stored(ScoredEvent(event_of(events.Charge), None, InferenceStatus.UNAVAILABLE))
    assert [record[f"source_{part}"] for part in ("topic", "partition", "offset")] == [
        "webhooks.stripe.charge",
        3,
        7,
    ]
    assert record["workflow_id"] == "wf"
    assert record["scores"] is None


def test_lone_surrogate_is_unstorable() -> None:
    event = event_of(events.Charge).model_copy(update={"invoice_id": "\ud800"})
    with pytest.raises(UnstorableError):
        rows.to_record(ScoredEvent(event, None, InferenceStatus.UNAVAILABLE), "wf")
