"""Where on the topics is the person, and how are the topics cut behind them?

Kafka deletes no single record, only the beginning of a partition. So each partition that names the
person is cut up to the last record that does, and their neighbours' records before it go as well:
those are in bronze, which `forget` has the ledger prove first. What is cut can't be replayed.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import orjson
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError

from payment_pipeline.adapters.kafka import raw_event
from payment_pipeline.domain.failures import BadRecord, UserError
from payment_pipeline.domain.topics import DLQ_VALIDATION
from payment_pipeline.ledger import audited_topics
from payment_pipeline.settings import Settings

from .person import Person

EVERYTHING: Final = 2**53
"""More records than a topic has."""
RESOLUTION: Final = timedelta(microseconds=1)
"""Of a receipt's time."""


@dataclass
class Cut:
    """What is to go."""

    before: dict[TopicPartition, int] = field(default_factory=dict)
    """Each partition's first offset that stays."""
    theirs: Counter[str] = field(default_factory=Counter)
    """Records that name the person, by topic."""
    neighbours: int = 0
    """Records of others that go with them."""
    whole_from: datetime | None = None
    """From this receipt on nothing is missing on any topic."""


class _Scan:
    """Reads each partition in order; what lies before a record of the person's goes with it."""

    def __init__(self, person: Person) -> None:
        self.cut = Cut()
        self._person = person
        self._others: Counter[TopicPartition] = Counter()
        """Neighbours since the partition's last record of the person's."""
        self._latest: dict[TopicPartition, datetime] = {}
        """The latest receipt so far."""

    def __call__(self, record: ConsumerRecord) -> bool:
        place = TopicPartition(record.topic, record.partition)
        received_at = raw_event(record).received_at
        latest = self._latest[place] = max(received_at, self._latest.get(place, received_at))
        if not self._is_theirs(record):
            self._others[place] += 1
            return False
        cut = self.cut
        cut.before[place] = record.offset + 1
        cut.theirs[record.topic] += 1
        cut.neighbours += self._others.pop(place, 0)
        cut.whole_from = max(latest + RESOLUTION, cut.whole_from or latest)
        return True

    def _is_theirs(self, record: ConsumerRecord) -> bool:
        value = record.value or b""
        if self._person.is_in(value) or self._person.is_in(b'"%b"' % (record.key or b"")):
            return True
        return record.topic == DLQ_VALIDATION and self._person.is_in(_letter(value))


async def find(settings: Settings, person: Person, progress: Callable[[str], None]) -> Cut:
    """Read every topic once, from its beginning to where it ends now.

    Raises:
        UserError: Kafka does not answer, or has not the topics.
    """
    scan = _Scan(person)
    async with audited_topics.connected(settings) as found:
        async for _ in found.find(scan, EVERYTHING, progress):
            pass
    return scan.cut


async def apply(settings: Settings, cut: Cut) -> None:
    """Cut; again is no change. No client can read what is cut from here on.

    The bytes leave the broker's disk with their segment, at the latest when that is rolled and
    past: `docs/runbooks/erasure.md`.

    Raises:
        UserError: Kafka does not answer, or refuses.
    """
    if not cut.before:
        return
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await admin.start()
        await admin.delete_records(
            {place: RecordsToDelete(offset) for place, offset in cut.before.items()}
        )
    except KafkaError as refusal:
        raise UserError(
            f"Kafka at {settings.kafka} cut not everything ({type(refusal).__name__}): "
            "call again, it goes on from here.",
            exit_code=1,
        ) from None
    finally:
        await admin.close()


def _letter(value: bytes) -> bytes:
    """The signed bytes in a dead letter, which carries them as base64."""
    try:
        return BadRecord.model_validate(orjson.loads(value)).body
    except ValueError:  # not what the topic's contract says
        return b""
