"""Which dead letters lie on the topics and not in the quarantine? They can be brought there.

Usually none, a moment after they came; all of them while Temporal or the worker is away.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

from payment_pipeline.adapters import kafka
from payment_pipeline.adapters.kafka import Offsets
from payment_pipeline.adapters.kafka_ranges import RangeExpiredError, RangeReader
from payment_pipeline.bronze import writer
from payment_pipeline.domain.failures import BadRecord
from payment_pipeline.domain.topics import DEAD_LETTERS
from payment_pipeline.settings import Settings

from . import letters
from .store import SQL

WORKFLOW: Final = "dlq/collect"
"""What `workflow_id` says of a letter that no workflow brought."""
CHUNK_OFFSETS: Final = 100
RECORDS_MAX: Final = 100_000
"""The newest records of each topic's partition that are looked at."""


class Collected(NamedTuple):
    """What was found."""

    on_topics: int
    """Letters on both topics, as far as they were looked at."""
    missing: int
    """Of these, those that the quarantine had not."""


async def collect(settings: Settings, pool: asyncpg.Pool, *, keep: bool) -> Collected:
    """Look at both topics; put what the quarantine lacks there if it is to `keep` it.

    Keyed by source and failure: whoever brings the same letter at the same time changes nothing.

    Raises:
        UserError: the broker does not answer.
    """
    ranges = RangeReader(settings)
    async with kafka.reader(settings) as consumer:
        places = await kafka.partitions(settings, DEAD_LETTERS)
        consumer.assign(places)
        consumer.pause(*places)  # its offsets are wanted, not its records
        starts = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        try:
            return await _collect(starts, ends, ranges, pool, keep=keep)
        finally:
            await ranges.close()


async def _collect(
    starts: Offsets, ends: Offsets, ranges: RangeReader, pool: asyncpg.Pool, *, keep: bool
) -> Collected:
    on_topics = missing = 0
    for place in ends:
        first = max(starts[place], ends[place] - RECORDS_MAX)
        for start in range(first, ends[place], CHUNK_OFFSETS):
            end = min(start + CHUNK_OFFSETS, ends[place])
            try:
                records = await ranges.read(place.topic, place.partition, start, end)
            except RangeExpiredError:  # retention took them since
                continue
            found = letters.of_dead_letters(records)
            lacking = await _lacking(pool, found)
            if keep and lacking:
                await writer.quarantine(pool, lacking, WORKFLOW)
            on_topics, missing = on_topics + len(found), missing + len(lacking)
    return Collected(on_topics, missing)


async def _lacking(pool: asyncpg.Pool, found: Sequence[BadRecord]) -> list[BadRecord]:
    by_key = {
        (
            letter.source.topic,
            letter.source.partition,
            letter.source.offset,
            letter.failure.value,
        ): letter
        for letter in found
    }
    columns = list(zip(*by_key, strict=True)) or [(), (), (), ()]
    known = await pool.fetch(SQL["known"], *columns)
    for row in known:
        by_key.pop(tuple(row), None)
    return list(by_key.values())
