"""Which dead letters lie on the topics and not in the quarantine? They can be seen, or brought.

Usually none, a moment after they came; all of them while Temporal or the worker is away. Until it
is in the quarantine a letter has no id, and is called by its source: `topic/partition/offset`.
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
"""What `workflow_id` says of a letter that no workflow brought."""
CHUNK_OFFSETS: Final = 100
RECORDS_MAX: Final = 100_000
"""The newest records of each topic's partition that are looked at."""
ONLY_IN_THE_QUARANTINE: Final = (
    *("ingested_at", "workflow_id", "resolution", "resolved_at", "resolved_by"),
    *("resolution_note", "redriven_event_id", "redriven_body_sha256", "patch"),
)

Key = tuple[str, int, int, str]
"""The quarantine's: source and failure."""


async def bring(settings: Settings, pool: asyncpg.Pool) -> int:
    """Put what the quarantine lacks there; return how many letters that were.

    Whoever brings the same letter at the same time changes nothing.

    Raises:
        UserError: the broker does not answer.
    """
    brought = 0
    async with _only_there(settings, pool) as chunks:
        async for lacking in chunks:
            if lacking:
                await writer.quarantine(pool, lacking, WORKFLOW)
            brought += len(lacking)
    return brought


async def groups(settings: Settings, pool: asyncpg.Pool, selection: Selection) -> list[Group]:
    """What the quarantine lacks of a selection, by cause; the most of a cause first.

    Raises:
        UserError: the broker does not answer.
    """
    found: dict[tuple[str | None, ...], Group] = {}
    async with _only_there(settings, pool) as chunks:
        async for lacking in chunks:
            for letter in filter(selection.takes, lacking):
                one = _group(letter)
                cause = (one.provider, one.failure, one.component, one.error)
                found[cause] = _together(found[cause], one) if cause in found else one
    return sorted(found.values(), key=lambda group: -group.letters)[:GROUPS_MAX]


async def show(
    settings: Settings, pool: asyncpg.Pool, wanted: str, *, body: bool
) -> list[dict[str, Any]]:
    """What the quarantine lacks under an event's id or a source, as `store.show` has the others.

    Raises:
        UserError: the broker does not answer.
    """
    found: list[dict[str, Any]] = []
    async with _only_there(settings, pool) as chunks:
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
async def _only_there(
    settings: Settings, pool: asyncpg.Pool
) -> AsyncIterator[AsyncGenerator[list[BadRecord], None]]:
    """The letters in chunks, some of them empty: a body may be large, and there may be many."""
    ranges = RangeReader(settings)
    async with kafka.reader(settings) as consumer:
        places = await kafka.partitions(settings, DEAD_LETTERS)
        consumer.assign(places)
        consumer.pause(*places)  # its offsets are wanted, not its records
        starts = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        try:
            async with aclosing(_chunks(starts, ends, ranges, pool)) as chunks:
                yield chunks
        except RangeStalledError as stalled:
            raise UserError(
                f"Kafka brings nothing of a topic ({stalled}): is it well?", 1
            ) from None
        finally:
            await ranges.close()


async def _chunks(
    starts: Offsets, ends: Offsets, ranges: RangeReader, pool: asyncpg.Pool
) -> AsyncGenerator[list[BadRecord], None]:
    seen: set[Key] = set()  # a producer that died may have sent one twice
    for place, last in ends.items():
        for start in range(max(starts[place], last - RECORDS_MAX), last, CHUNK_OFFSETS):
            end = min(start + CHUNK_OFFSETS, last)
            try:
                records = await ranges.read(place.topic, place.partition, start, end)
            except RangeExpiredError:  # retention took them since
                continue
            found = {_key(letter): letter for letter in dead_letter_rows.of_dead_letters(records)}
            lacking = await _lacking(pool, [key for key in found if key not in seen])
            seen.update(lacking)
            yield [found[key] for key in lacking]


async def _lacking(pool: asyncpg.Pool, keys: Sequence[Key]) -> list[Key]:
    """Those that the quarantine does not have."""
    columns = list(zip(*keys, strict=True)) or [(), (), (), ()]
    known = set(map(tuple, await pool.fetch(SQL["known"], *columns)))
    return [key for key in keys if key not in known]


def _key(letter: BadRecord) -> Key:
    source = letter.source
    return source.topic, source.partition, source.offset, letter.failure.value


def _group(letter: BadRecord) -> Group:
    """Of this one alone."""
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
