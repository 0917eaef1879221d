"""What the ledger reads from a record, whoever wrote it."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.domain import topics
from payment_pipeline.ledger.record_reader import read, stages_of
from payment_pipeline.ledger.stage_tally import UNSTATED, Money, Seen, Tally
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.providers import providers
from support.records import record

AT = "2026-01-31T12:00:00.123456Z"
BODY = orjson.dumps(
    {
        "id": "evt_1",
        "type": "charge.succeeded",
        "data": {"object": {"amount": 500, "currency": "jpy"}},
    }
)
DIGEST = sha256(BODY).hexdigest()
WHOLE = orjson.dumps(
    {
        "id": "evt_1",
        "type": "charge.succeeded",
        "created": 1_780_000_000,
        "livemode": True,
        "data": {"object": {"id": "ch_1", "object": "charge", "amount": 500, "currency": "jpy"}},
    }
)
IDENTITY = getattr(providers()["stripe"].read(WHOLE), "identity_sha256", "")
HEADERS = (("ce_id", b"evt_1"), ("ce_source", b"/webhooks/stripe"), ("received_at", AT.encode()))
NORMALIZED: dict[str, Any] = {
    "provider": "stripe",
    "event_id": "evt_1",
    "kind": "charge",
    "amount_minor": 500,
    "currency": "JPY",
    "body_sha256": DIGEST,
    "received_at": AT,
}
REJECTED: dict[str, Any] = {
    "provider": "stripe",
    "event_id": None,
    "body": b64encode(BODY).decode(),
    "body_sha256": DIGEST,
    "received_at": AT,
}


def test_each_topic_is_counted_in_its_stages() -> None:
    assert stages_of("webhooks.stripe.charge") == (Stage.RAW,)
    assert stages_of(topics.DLQ_WEBHOOKS) == (Stage.RAW, Stage.REJECTED)
    assert stages_of(topics.DLQ_VALIDATION) == (Stage.REJECTED,)
    assert stages_of("__consumer_offsets") == ()


@pytest.mark.parametrize("topic", ["webhooks.stripe.charge", topics.UNMODELLED])
def test_an_unchanged_body_is_hashed_and_read_anew(topic: str) -> None:
    lying = (*HEADERS, ("body_sha256", b"0" * 64))
    seen, received_at = read(record(topic, BODY, lying))
    assert seen == Seen("stripe", "evt_1", DIGEST, Money("JPY", 500))
    assert received_at.isoformat() == "2026-01-31T12:00:00.123456+00:00"


def test_a_normalized_event_says_what_bronze_will() -> None:
    seen, received_at = read(record(topics.NORMALIZED, orjson.dumps(NORMALIZED)))
    assert seen == Seen("stripe", "evt_1", DIGEST, Money("JPY", 500))
    assert received_at.microsecond == 123456


def test_the_identity_of_a_raw_record_is_computed_from_its_bytes() -> None:
    lying = (*HEADERS, ("identity_sha256", b"0" * 64))
    seen = read(record("webhooks.stripe.charge", WHOLE, lying)).seen
    assert seen.identity_sha256 == IDENTITY
    foreign = (*lying[:1], ("ce_source", b"/webhooks/nobody"), *lying[2:])
    assert read(record("webhooks.nobody.charge", WHOLE, foreign)).seen.identity_sha256 is None


def test_a_record_of_an_earlier_version_states_no_identity() -> None:
    assert read(record("webhooks.stripe.charge", WHOLE, HEADERS)).seen.identity_sha256 is None
    assert read(record(topics.NORMALIZED, orjson.dumps(NORMALIZED))).seen.identity_sha256 is None


def test_a_normalized_event_and_a_dead_letter_state_their_identity() -> None:
    stated = {**NORMALIZED, "identity_sha256": IDENTITY}
    assert read(record(topics.NORMALIZED, orjson.dumps(stated))).seen.identity_sha256 == IDENTITY
    body = b64encode(WHOLE).decode()
    letter = {**REJECTED, "body": body, "identity_sha256": "0" * 64}
    assert (
        read(record(topics.DLQ_VALIDATION, orjson.dumps(letter))).seen.identity_sha256 == IDENTITY
    )
    without_body = {**letter, "body": "", "identity_sha256": IDENTITY}
    seen = read(record(topics.DLQ_VALIDATION, orjson.dumps(without_body))).seen
    assert seen.identity_sha256 == IDENTITY


def test_an_amount_that_moves_no_money_is_in_no_total() -> None:
    subscription = {**NORMALIZED, "kind": "subscription"}
    assert read(record(topics.NORMALIZED, orjson.dumps(subscription))).seen.money is None
    without = {k: v for k, v in NORMALIZED.items() if k not in ("amount_minor", "currency")}
    assert read(record(topics.NORMALIZED, orjson.dumps(without))).seen.money is None


def test_a_dead_letter_is_known_by_the_body_it_carries() -> None:
    seen = read(record(topics.DLQ_VALIDATION, orjson.dumps(REJECTED))).seen
    assert seen == Seen("stripe", None, DIGEST, Money("JPY", 500))


def test_a_dead_letter_without_its_body_is_known_by_the_hash() -> None:
    seen = read(record(topics.DLQ_VALIDATION, orjson.dumps({**REJECTED, "body": ""}))).seen
    assert seen == Seen("stripe", None, DIGEST, UNSTATED)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.sampled_from([topics.NORMALIZED, topics.DLQ_VALIDATION, topics.UNMODELLED, "webhooks.x.y"]),
    st.binary()
    | st.tuples(
        st.sampled_from([NORMALIZED, REJECTED]), st.sampled_from(sorted(NORMALIZED)), json_values
    ),
)
def test_no_record_stops_an_audit(
    topic: str, value: bytes | tuple[dict[str, Any], str, object]
) -> None:
    if not isinstance(value, bytes):
        message, field, wrong = value
        try:
            value = orjson.dumps({**message, field: wrong})
        except TypeError:  # what orjson can't write, no stage can
            return
    seen, _ = read(record(topic, value))
    Tally().add(seen)
