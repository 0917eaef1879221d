"""Whether a dead letter says where it came from and keeps the bytes, whatever the record holds."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest

from payment_pipeline.dlq import dead_letter_rows
from payment_pipeline.domain.failures import BadRecord, FailureClass, FieldError
from payment_pipeline.domain.raw import Coordinates
from support.records import record

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)


def headed(**headers: str) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, text.encode()) for name, text in headers.items())


def bad_record() -> BadRecord:
    return BadRecord(
        failure=FailureClass.INVALID,
        errors=(FieldError(path="data.object.amount", message="not an integer"),),
        component="normalizer",
        component_version="1",
        provider="stripe",
        event_id="evt_1",
        provider_event_type="charge.succeeded",
        source=Coordinates(topic="webhooks.stripe.charge", partition=0, offset=3),
        body=b"\xff\x00",
        body_sha256=sha256(b"\xff\x00").hexdigest(),
        received_at=AT,
        verdict="verified:stripe:9f2c1a",
        rejected_at=AT,
    )


def test_a_rejected_event_comes_through_as_it_is() -> None:
    given = bad_record()
    letter = record("payments.validation.dlq", given.model_dump_json().encode())
    assert dead_letter_rows.of_dead_letters([letter]) == [given]


def test_an_unreadable_body_is_kept_with_the_gateways_reason() -> None:
    (letter,) = dead_letter_rows.of_dead_letters(
        [
            record(
                "webhooks.dlq",
                b"{",
                headed(
                    reason="not_json",
                    verdict="verified:stripe:9f2c1a",
                    ce_source="/webhooks/stripe",
                    received_at=AT.isoformat(),
                ),
            )
        ]
    )
    assert (letter.failure, letter.component) == ("unparseable", "gateway")
    assert letter.errors == (FieldError(path="", message="not_json"),)
    assert (letter.body, letter.provider, letter.received_at) == (b"{", "stripe", AT)
    assert str(letter.source) == "webhooks.dlq/2/7"


@pytest.mark.parametrize("value", [b"", None, b"{}", b"\xff", b"[1,2]"])
def test_garbage_on_the_dead_letter_topic_is_a_dead_letter(value: bytes | None) -> None:
    (letter,) = dead_letter_rows.of_dead_letters([record("payments.validation.dlq", value)])
    assert (letter.failure, letter.component) == ("unprocessable", "orchestrator")
    assert letter.body == (value or b"")


def test_a_letters_hash_is_of_its_own_bytes() -> None:
    moved = record("payments.normalized", b"{}", headed(body_sha256="0" * 64, ce_id="evt_1"))
    letter = dead_letter_rows.of_refused(moved, FailureClass.UNPROCESSABLE, "why")
    assert letter.body_sha256 == sha256(b"{}").hexdigest()
    assert letter.event_id == "evt_1"


def test_the_same_record_gives_the_same_letter() -> None:
    given = record("webhooks.dlq", b"{", headed(reason="not_json"))
    assert dead_letter_rows.of_dead_letters([given]) == dead_letter_rows.of_dead_letters([given])
