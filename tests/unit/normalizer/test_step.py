"""Every raw record has an outcome, and every outcome has its topic."""

import json
from base64 import b64decode
from datetime import UTC, datetime

import pytest

from payment_pipeline.domain import topics
from payment_pipeline.domain.events import PAYMENT_EVENT, Charge
from payment_pipeline.domain.failures import BadRecord, FailureClass, Unmodelled
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.normalizer.step import normalize, step, without_body
from payment_pipeline.providers import Context, providers
from payment_pipeline.providers.stripe import Stripe
from support.pairs import CONTEXT, Pair, pairs, raw_event
from support.stripe_bodies import body, example

NOW = datetime(2026, 1, 2, tzinfo=UTC)
STRIPE = providers()["stripe"]
HEADERS = (("ce_id", b"evt_1"), ("traceparent", b"00-x"))
CHARGE = raw_event(body("charge.succeeded", example("charge")))
INVALID = raw_event(body("charge.succeeded", example("charge", amount=1.5)))._replace(
    event_id="evt_1", event_type="charge.succeeded", traceparent="00-x", identity_sha256="e" * 64
)
UNMODELLED = raw_event(body("product.created", {"id": "prod_1", "object": "product"}))


class Defective(Stripe):
    """A provider with code that raises."""

    def normalize(self, raw: RawEvent, context: Context) -> Unmodelled:
        raise ZeroDivisionError(raw.body, context)


def test_an_event_goes_to_the_normalized_topic_with_the_raw_records_headers() -> None:
    outcome, message = step(CHARGE, HEADERS, STRIPE, CONTEXT, NOW)
    assert isinstance(outcome, Charge)
    assert outcome.source == CHARGE.coordinates
    assert outcome.body_sha256 == CHARGE.body_sha256
    assert outcome.normalizer_version == CONTEXT.normalizer_version

    assert (message.topic, message.headers) == (topics.NORMALIZED, HEADERS)
    assert PAYMENT_EVENT.validate_json(message.value) == outcome
    assert None not in json.loads(message.value).values()


def test_a_dead_letter_has_everything_that_is_needed_to_repair_the_event() -> None:
    outcome, message = step(INVALID, HEADERS, STRIPE, CONTEXT, NOW)
    assert isinstance(outcome, BadRecord)
    assert (message.topic, message.headers) == (topics.DLQ_VALIDATION, HEADERS)

    letter = json.loads(message.value)
    assert b64decode(letter.pop("body")) == INVALID.body
    assert letter.pop("errors")[0]["path"] == "data.object.amount"
    assert letter == {
        "schema_version": 1,
        "failure": "invalid",
        "component": "normalizer",
        "component_version": CONTEXT.normalizer_version,
        "provider": "stripe",
        "event_id": "evt_1",
        "provider_event_type": "charge.succeeded",
        "source": {"topic": "webhooks.stripe.other", "partition": 0, "offset": 7},
        "body_sha256": INVALID.body_sha256,
        "identity_sha256": "e" * 64,
        "received_at": "2025-06-15T15:06:40Z",
        "verdict": "verified:fixture",
        "traceparent": "00-x",
        "rejected_at": "2026-01-02T00:00:00Z",
    }
    assert BadRecord.model_validate_json(message.value) == outcome


def test_an_event_without_a_model_is_copied_with_its_source() -> None:
    outcome, message = step(UNMODELLED, HEADERS, STRIPE, CONTEXT, NOW)
    assert outcome == Unmodelled("product.created")
    assert (message.topic, message.value) == (topics.UNMODELLED, UNMODELLED.body)
    assert message.headers == (
        *HEADERS,
        ("source_topic", b"webhooks.stripe.other"),
        ("source_partition", b"0"),
        ("source_offset", b"7"),
    )


def test_a_defect_in_a_provider_makes_a_dead_letter_and_raises_nothing() -> None:
    outcome, _ = step(CHARGE, HEADERS, Defective(), CONTEXT, NOW)
    assert isinstance(outcome, BadRecord)
    assert outcome.failure is FailureClass.UNPROCESSABLE
    assert "ZeroDivisionError" in outcome.errors[0].message
    assert CHARGE.body.decode() not in outcome.errors[0].message
    assert outcome.body == CHARGE.body


def test_a_record_too_large_for_kafka_is_a_dead_letter_without_its_body() -> None:
    outcome, message = without_body(INVALID, HEADERS, CONTEXT, NOW)
    assert isinstance(outcome, BadRecord)
    assert outcome.body == b""
    assert outcome.body_sha256 == INVALID.body_sha256
    assert str(len(INVALID.body)) in outcome.errors[0].message
    assert BadRecord.model_validate_json(message.value) == outcome


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.name)
def test_the_step_changes_nothing_in_the_providers_event(pair: Pair) -> None:
    raw = raw_event(pair.body, pair.provider)
    provider = providers()[pair.provider]
    assert normalize(raw, provider, CONTEXT, NOW) == provider.normalize(raw, CONTEXT)
