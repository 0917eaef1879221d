"""Finds a person on the topics, and deletes the records up to the last one about the person.

Kafka can't delete single records, only the beginning of a partition. So each partition is cut after
its last record about the person, and the earlier records of other people are deleted too. Bronze
has their events, as an audit proves before the cut. A replay can't read deleted records.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import orjson
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError

from payment_pipeline.adapters import kafka
from payment_pipeline.adapters.kafka import raw_event
from payment_pipeline.domain.failures import BadRecord, UserError
from payment_pipeline.domain.topics import DLQ_VALIDATION
from payment_pipeline.ledger import audited_topics
from payment_pipeline.settings import Settings

from .person import Person

EVERYTHING: Final = 2**53
"""More records than any topic has."""
RESOLUTION: Final = timedelta(microseconds=1)
"""Resolution of a receipt time."""


@dataclass
class Cut:
    """The records to delete."""

    before: dict[TopicPartition, int] = field(default_factory=dict)
    """The first offset that stays, by partition."""
    theirs: Counter[str] = field(default_factory=Counter)
    """Records about the person, by topic."""
    neighbours: int = 0
    """Records of other people that are deleted with them."""
    whole_from: datetime | None = None
    """From this receipt time on, the topics are complete."""


class _Scan:
    """Reads each partition in order and notes the last record about the person."""

    def __init__(self, person: Person) -> None:
        self.cut = Cut()
        self._person = person
        self._others: Counter[TopicPartition] = Counter()
        """Records of other people since the last record about the person, by partition."""
        self._latest: dict[TopicPartition, datetime] = {}
        """The latest receipt time so far, by partition."""

    def __call__(self, record: ConsumerRecord) -> bool:
        partition = TopicPartition(record.topic, record.partition)
        received_at = raw_event(record).received_at
        known = self._latest.get(partition, received_at)
        latest = self._latest[partition] = max(received_at, known)
        if not self._is_theirs(record):
            self._others[partition] += 1
            return False
        cut = self.cut
        cut.before[partition] = record.offset + 1
        cut.theirs[record.topic] += 1
        cut.neighbours += self._others.pop(partition, 0)
        cut.whole_from = max(latest + RESOLUTION, cut.whole_from or latest)
        return True

    def _is_theirs(self, record: ConsumerRecord) -> bool:
        value = record.value or b""
        if self._person.is_in(value) or self._person.is_key(record.key or b""):
            return True
        return record.topic == DLQ_VALIDATION and self._person.is_in(_letter(value))


async def find(settings: Settings, person: Person, progress: Callable[[str], None]) -> Cut:
    """Read every topic once, from its beginning to its current end.

    Raises:
        UserError: Kafka does not answer, or lacks the topics.
    """
    scan = _Scan(person)
    async with audited_topics.connected(settings) as found:
        async for _ in found.find(scan, EVERYTHING, progress):
            pass
    return scan.cut


async def apply(settings: Settings, cut: Cut) -> None:
    """Delete the records. A repeat changes nothing, and no client can read the records after it.

    The bytes leave the broker's disk with their segment, after the segment is rolled:
    `docs/runbooks/erasure.md`.

    Raises:
        UserError: Kafka does not answer, or refuses.
    """
    if not cut.before:
        return
    admin = kafka.admin_client(settings)
    try:
        await admin.start()
        await admin.delete_records(
            {partition: RecordsToDelete(offset) for partition, offset in cut.before.items()}
        )
    except KafkaError as refusal:
        raise UserError(
            f"Kafka at {settings.kafka} did not delete all records ({type(refusal).__name__}). "
            "Run the command again: it continues.",
            exit_code=1,
        ) from None
    finally:
        await admin.close()


def _letter(value: bytes) -> bytes:
    """Return the signed bytes of a dead letter, which has them as base64."""
    try:
        return BadRecord.model_validate(orjson.loads(value)).body
    except ValueError:  # the record breaks the contract of its topic
        return b""
