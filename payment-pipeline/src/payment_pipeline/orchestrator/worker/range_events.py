"""Reads the events of a range from Kafka, and writes a range's rows to bronze."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import structlog
from aiokafka import ConsumerRecord
from pydantic import ValidationError

from payment_pipeline.adapters.kafka_ranges import RangeReader
from payment_pipeline.bronze import writer
from payment_pipeline.bronze.rows import EventId, ScoredEvent
from payment_pipeline.bronze.writer import Refused, Written
from payment_pipeline.domain import event_versions
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import FailureClass
from payment_pipeline.orchestrator.messages import OffsetRange, Refusal
from payment_pipeline.telemetry import of_event

BATCHES_KEPT_MAX: Final = 8
"""Batches kept in memory, about 5 MB each. There are more of them than open ranges, so usually no
range is read twice."""
STORE_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""Errors that the state of the store causes: a retry solves them, halving the rows does not."""

log = structlog.get_logger()


@dataclass
class Batch:
    """The decoded records of a range."""

    events: list[PaymentEvent]
    """The events in the log's order, with duplicates."""
    undecodable: list[Refusal]

    def distinct(self) -> list[PaymentEvent]:
        """Return each event once, in the log's order, for scoring."""
        first: dict[EventId, PaymentEvent] = {}
        for event in self.events:
            first.setdefault(EventId(event.provider, event.event_id), event)
        return list(first.values())


class Batches:
    """Reads ranges and keeps the latest ones: scoring and persisting read the same range."""

    def __init__(self, ranges: RangeReader) -> None:
        """The caller closes `ranges`."""
        self._ranges = ranges
        self._kept: OrderedDict[OffsetRange, Batch] = OrderedDict()

    async def get(self, wanted: OffsetRange) -> Batch:
        """Return a range's events.

        Raises:
            RangeExpiredError: retention has deleted records of the range.
            RangeStalledError, KafkaError: Kafka did not answer; try again.
        """
        batch = self._kept.get(wanted)
        if batch is None:
            batch = decode(
                await self._ranges.read(wanted.topic, wanted.partition, wanted.start, wanted.end)
            )
            self._kept[wanted] = batch
        self._kept.move_to_end(wanted)
        while len(self._kept) > BATCHES_KEPT_MAX:
            self._kept.popitem(last=False)
        return batch

    def drop(self, done: OffsetRange) -> None:
        """Forget a range that is written."""
        self._kept.pop(done, None)


def decode(records: list[ConsumerRecord[bytes, bytes]]) -> Batch:
    """Decode the records; a record that cannot be decoded becomes a refusal."""
    events, undecodable = [], []
    for record in records:
        try:
            events.append(event_versions.read(record.value or b""))
        except ValidationError:
            undecodable.append(
                Refusal(
                    record.topic,
                    record.partition,
                    record.offset,
                    FailureClass.UNPROCESSABLE.value,
                    "the normalized record is not a PaymentEvent of this version",
                )
            )
    return Batch(events, undecodable)


async def write_isolated(
    pool: asyncpg.Pool, rows: Sequence[ScoredEvent], workflow_id: str
) -> Written:
    """Write rows like `bronze.writer.write`, and refuse each row on which our own code fails.

    `bronze.writer.write` itself finds the rows that PostgreSQL refuses. This function halves the
    rows until it has found those that make our code fail; it writes all others.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: PostgreSQL cannot write now; repeat
            the same call.
    """
    try:
        return await writer.write(pool, rows, workflow_id)
    except STORE_ERRORS:
        raise
    except Exception as defect:
        if len(rows) == 1:
            log.exception("event_unwritable", **of_event(rows[0].event))
            return Written([], [], [], [Refused(rows[0], type(defect).__name__)])
    middle = len(rows) // 2
    lower = await write_isolated(pool, rows[:middle], workflow_id)
    upper = await write_isolated(pool, rows[middle:], workflow_id)
    return Written(
        lower.inserted + upper.inserted,
        lower.duplicates + upper.duplicates,
        lower.conflicts + upper.conflicts,
        lower.refused + upper.refused,
    )
