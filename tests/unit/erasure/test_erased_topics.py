"""Tests that partitions are cut after the person's last record, and other records are counted."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from aiokafka import ConsumerRecord, TopicPartition

from payment_pipeline.domain import headers as names
from payment_pipeline.domain.failures import BadRecord, FailureClass
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.domain.topics import DLQ_VALIDATION
from payment_pipeline.erasure.erased_topics import RESOLUTION, _Scan
from support.people import person
from support.records import record

JANE = person("cus_jane", "pi_1")
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
CHARGE = "webhooks.stripe.charge"


def received(
    offset: int,
    value: bytes,
    topic: str = CHARGE,
    partition: int = 0,
    key: bytes = b"k",
    at: datetime | None = None,
) -> "ConsumerRecord[bytes, bytes]":
    """Received a second an offset after noon, if no time is given."""
    at = at or NOON + timedelta(seconds=offset)
    headers = ((names.RECEIVED_AT, at.isoformat().encode()),)
    return record(topic, value, headers, key=key, partition=partition, offset=offset)


def scanned(*records: "ConsumerRecord[bytes, bytes]") -> _Scan:
    scan = _Scan(JANE)
    for each in records:
        scan(each)
    return scan


HERS, OTHERS = b'{"customer": "cus_jane"}', b'{"customer": "cus_john"}'


def test_a_partition_is_cut_after_her_last_record() -> None:
    cut = scanned(
        received(3, OTHERS),
        received(4, HERS),
        received(5, OTHERS),
        received(7, HERS),
        received(8, OTHERS),
    ).cut
    assert cut.before == {TopicPartition(CHARGE, 0): 8}
    assert (cut.theirs, cut.neighbours) == ({CHARGE: 2}, 2)
    assert cut.whole_from == NOON + timedelta(seconds=7) + RESOLUTION


def test_a_partition_without_her_is_not_cut() -> None:
    cut = scanned(received(1, HERS, partition=1), received(9, OTHERS, partition=2)).cut
    assert cut.before == {TopicPartition(CHARGE, 1): 2}
    assert cut.whole_from == NOON + timedelta(seconds=1) + RESOLUTION


def test_the_topics_are_complete_after_the_latest_deleted_receipt() -> None:
    # A record of another person was received after hers, but has a lower offset.
    late = received(2, OTHERS, at=NOON + timedelta(hours=1))
    cut = scanned(late, received(3, HERS)).cut
    assert cut.whole_from == NOON + timedelta(hours=1) + RESOLUTION


def test_without_her_records_nothing_is_cut() -> None:
    cut = scanned(received(1, OTHERS)).cut
    assert (cut.before, cut.whole_from, cut.neighbours) == ({}, None, 0)


def test_a_longer_id_is_another_person() -> None:
    longer, ending = b'{"customer": "cus_jane2"}', b'{"customer": "x_cus_jane"}'
    cut = scanned(
        received(1, longer), received(2, ending), received(3, OTHERS, key=b"cus_jane2")
    ).cut
    assert (cut.before, cut.theirs) == ({}, {})


def test_she_is_found_in_record_keys_and_in_bodies_of_dead_letters() -> None:
    letter = BadRecord(
        failure=FailureClass.INVALID,
        errors=(),
        component="normalizer",
        component_version="1",
        provider="stripe",
        event_id="evt_1",
        provider_event_type=None,
        source=Coordinates(topic=CHARGE, partition=0, offset=1),
        body=HERS,
        body_sha256=sha256(HERS).hexdigest(),
        received_at=NOON,
        verdict="verified",
        rejected_at=NOON,
    ).model_dump_json()
    assert b64encode(HERS).decode() == json.loads(letter)["body"], "not to be read as it lies"
    cut = scanned(
        received(1, OTHERS, key=b"cus_jane"),
        received(2, letter.encode(), DLQ_VALIDATION),
        received(3, b"no JSON", DLQ_VALIDATION, 1),
    ).cut
    assert cut.theirs == {CHARGE: 1, DLQ_VALIDATION: 1}
