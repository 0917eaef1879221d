"""Finds the dead letters that are on the topics and not in the quarantine yet, and stores them.

Usually there are none. While Temporal or the worker is down, all new dead letters are on the topics
only. Such a dead letter has no id; its source `topic/partition/offset` names it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import asyncpg

from payment_pipeline.adapters import kafka
from payment_pipeline.adapters.kafka import Offsets
from payment_pipeline.adapters.kafka_ranges import (
    RangeExpiredError,
    RangeReader,
    RangeStalledError,
)
from payment_pipeline.bronze import writer
from payment_pipeline.domain.failures import BadRecord, UserError
from payment_pipeline.domain.topics import DEAD_LETTERS
from payment_pipeline.settings import Settings

from . import dead_letter_rows
from .dead_letter_selection import Selection
from .dead_letter_store import GROUPS_MAX, SHOWN_MAX, SQL, Group

WORKFLOW: Final = "dlq/collect"
"""The `workflow_id` of a dead letter that this module stored."""
CHUNK_OFFSETS: Final = 100
RECORDS_MAX: Final = 100_000
"""How many of the newest records of each partition are read."""
ONLY_IN_THE_QUARANTINE: Final = (
    *("ingested_at", "workflow_id", "resolution", "resolved_at", "resolved_by"),
    *("resolution_note", "redriven_event_id", "redriven_body_sha256", "patch"),
)

Key = tuple[str, int, int, str]
"""The key of the quarantine: source coordinates and failure class."""


async def bring(settings: Settings, pool: asyncpg.Pool) -> int:
    """Store the dead letters that the quarantine lacks; return how many.

    Storing the same dead letter twice, even at the same time, changes nothing.

    Raises:
        UserError: the broker does not answer.
    """
    brought = 0
    async with _only_on_topics(settings, pool) as chunks:
        async for lacking in chunks:
            if lacking:
                await writer.quarantine(pool, lacking, WORKFLOW)
            brought += len(lacking)
    return brought


async def groups(settings: Settings, pool: asyncpg.Pool, selection: Selection) -> list[Group]:
    """Group the selected dead letters that the quarantine lacks by cause, the largest first.

    Raises:
        UserError: the broker does not answer.
    """
    found: dict[tuple[str | None, ...], Group] = {}
    async with _only_on_topics(settings, pool) as chunks:
        async for lacking in chunks:
            for letter in filter(selection.takes, lacking):
                one = _group(letter)
                cause = (one.provider, one.failure, one.component, one.error)
                found[cause] = _together(found[cause], one) if cause in found else one
    return sorted(found.values(), key=lambda group: -group.letters)[:GROUPS_MAX]


async def show(
    settings: Settings, pool: asyncpg.Pool, wanted: str, *, body: bool
) -> list[dict[str, Any]]:
    """Return the dead letters of an event id or a source that the quarantine lacks.

    The rows are like those of `dead_letter_store.show`.

    Raises:
        UserError: the broker does not answer.
    """
    found: list[dict[str, Any]] = []
    async with _only_on_topics(settings, pool) as chunks:
        async for lacking in chunks:
            found += [
                _row(letter, body=body)
                for letter in lacking
                if wanted in (letter.event_id, str(letter.source))
            ]
            if len(found) >= SHOWN_MAX:
                break
    return found[:SHOWN_MAX]


@asynccontextmanager
async def _only_on_topics(
    settings: Settings, pool: asyncpg.Pool
) -> AsyncIterator[AsyncGenerator[list[BadRecord], None]]:
    """Read the dead letters in chunks, to bound the memory. A chunk may be empty."""
    ranges = RangeReader(settings)
    async with kafka.reader(settings) as consumer:
        partitions = await kafka.partitions(settings, DEAD_LETTERS)
        consumer.assign(partitions)
        consumer.pause(*partitions)  # this consumer is asked for offsets only
        starts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        try:
            async with aclosing(_chunks(starts, ends, ranges, pool)) as chunks:
                yield chunks
        except RangeStalledError as stalled:
            raise UserError(
                f"Kafka delivers no records of a topic ({stalled}). See `payments logs kafka`.", 1
            ) from None
        finally:
            await ranges.close()


async def _chunks(
    starts: Offsets, ends: Offsets, ranges: RangeReader, pool: asyncpg.Pool
) -> AsyncGenerator[list[BadRecord], None]:
    seen: set[Key] = set()  # a producer that crashed may have sent a record twice
    for partition, last in ends.items():
        for start in range(max(starts[partition], last - RECORDS_MAX), last, CHUNK_OFFSETS):
            end = min(start + CHUNK_OFFSETS, last)
            try:
                records = await ranges.read(partition.topic, partition.partition, start, end)
            except RangeExpiredError:  # retention deleted the records meanwhile
                continue
            found = {_key(letter): letter for letter in dead_letter_rows.of_dead_letters(records)}
            lacking = await _lacking(pool, [key for key in found if key not in seen])
            seen.update(lacking)
            yield [found[key] for key in lacking]


async def _lacking(pool: asyncpg.Pool, keys: Sequence[Key]) -> list[Key]:
    """Return the keys that the quarantine does not have."""
    columns = list(zip(*keys, strict=True)) or [(), (), (), ()]
    known = set(map(tuple, await pool.fetch(SQL["known"], *columns)))
    return [key for key in keys if key not in known]


def _key(letter: BadRecord) -> Key:
    source = letter.source
    return source.topic, source.partition, source.offset, letter.failure.value


def _group(letter: BadRecord) -> Group:
    """Return the group of one dead letter."""
    return Group(
        provider=letter.provider,
        failure=letter.failure.value,
        component=letter.component,
        error=letter.errors[0].line if letter.errors else None,
        resolution=None,
        letters=1,
        oldest_received_at=letter.received_at,
        newest_received_at=letter.received_at,
        example_id=str(letter.source),
    )


def _together(one: Group, other: Group) -> Group:
    return one._replace(
        letters=one.letters + other.letters,
        oldest_received_at=min(one.oldest_received_at, other.oldest_received_at),
        newest_received_at=max(one.newest_received_at, other.newest_received_at),
    )


def _row(letter: BadRecord, *, body: bool) -> dict[str, Any]:
    source = letter.source
    return {
        **letter.model_dump(exclude={"schema_version", "source", "body"}),
        **dict.fromkeys(ONLY_IN_THE_QUARANTINE),
        "id": str(source),
        "failure": letter.failure.value,
        "source_topic": source.topic,
        "source_partition": source.partition,
        "source_offset": source.offset,
        "body_bytes": len(letter.body),
        "body": letter.body if body else None,
    }
