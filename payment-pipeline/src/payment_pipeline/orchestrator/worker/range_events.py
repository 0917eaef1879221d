"""What is in a range? The events of a range of `payments.normalized`, and what can't be read."""

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
from payment_pipeline.domain.events import PAYMENT_EVENT, PaymentEvent
from payment_pipeline.domain.failures import FailureClass
from payment_pipeline.orchestrator.messages import OffsetRange, Refusal
from payment_pipeline.telemetry import of_event

BATCHES_KEPT_MAX: Final = 8
"""About 5 MB each. More than the ranges under way, so that usually none is read twice."""


@dataclass
class Batch:
    """A range's records, decoded."""

    events: list[PaymentEvent]
    """In the log's order, duplicates included."""
    undecodable: list[Refusal]

    def distinct(self) -> list[PaymentEvent]:
        """Each event once, in order: what is scored."""
        first: dict[EventId, PaymentEvent] = {}
        for event in self.events:
            first.setdefault(EventId(event.provider, event.event_id), event)
        return list(first.values())


class Batches:
    """Reads ranges; keeps the latest ones, since scoring and persisting want the same."""

    def __init__(self, ranges: RangeReader) -> None:
        """`ranges` is the owner's to close."""
        self._ranges = ranges
        self._kept: OrderedDict[OffsetRange, Batch] = OrderedDict()

    async def get(self, wanted: OffsetRange) -> Batch:
        """A range's events.

        Raises:
            RangeExpiredError: retention has taken it.
            RangeStalledError, KafkaError: try again.
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
        """Nobody will ask for it again."""
        self._kept.pop(done, None)


def decode(records: list[ConsumerRecord[bytes, bytes]]) -> Batch:
    """Read what can be read; a record that can't be costs the others nothing."""
    events, undecodable = [], []
    for record in records:
        try:
            events.append(PAYMENT_EVENT.validate_json(record.value or b""))
        except ValidationError:
            undecodable.append(
                Refusal(
                    record.topic,
                    record.partition,
                    record.offset,
                    FailureClass.UNPROCESSABLE.value,
                    "the normalized record is no PaymentEvent of this version",
                )
            )
    return Batch(events, undecodable)


PASSES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What the store's state causes: waiting mends it, halving doesn't."""

log = structlog.get_logger()


async def write_isolated(
    pool: asyncpg.Pool, rows: Sequence[ScoredEvent], workflow_id: str
) -> Written:
    """As `bronze.writer.write`, which finds what PostgreSQL refuses; here, what we choke on.

    Raises:
        asyncpg.PostgresError, OSError: PostgreSQL can't do it now; try the same call again.
    """
    try:
        return await writer.write(pool, rows, workflow_id)
    except PASSES:
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
