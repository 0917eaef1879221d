"""Which dead letters lie on the topics and not in the quarantine? They can be seen, or brought.

Usually none, a moment after they came; all of them while Temporal or the worker is away.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

import asyncpg

from payment_pipeline.adapters import kafka
from payment_pipeline.adapters.kafka_ranges import RangeExpiredError, RangeReader
from payment_pipeline.bronze import writer
from payment_pipeline.domain.failures import BadRecord
from payment_pipeline.domain.topics import DEAD_LETTERS
from payment_pipeline.settings import Settings

from . import letters
from .selection import Selection
from .store import SHOWN_MAX, SQL, Group, first_error

WORKFLOW: Final = "dlq/collect"
"""What `workflow_id` says of a letter that no workflow brought."""
CHUNK_OFFSETS: Final = 100
RECORDS_MAX: Final = 100_000
"""The newest records of each topic's partition that are looked at."""


async def bring(settings: Settings, pool: asyncpg.Pool) -> int:
    """Put what the quarantine lacks there; return how many letters that were.

    Keyed by source and failure: whoever brings the same letter at the same time changes nothing.

    Raises:
        UserError: the broker does not answer.
    """
    brought = 0
    async for lacking in _only_on_topics(settings, pool):
        if lacking:
            await writer.quarantine(pool, lacking, WORKFLOW)
        brought += len(lacking)
    return brought


async def groups(settings: Settings, pool: asyncpg.Pool, selection: Selection) -> list[Group]:
    """What the quarantine lacks, by cause as it has the others; the most of a cause first.

    Raises:
        UserError: the broker does not answer.
    """
    found: dict[tuple[str | None, ...], Group] = {}
    async for lacking in _only_on_topics(settings, pool):
        for letter in lacking:
            if _is_meant(letter, selection):
                one = _group(letter)
                cause = (one.provider, one.failure, one.component, one.error)
                found[cause] = _together(found.get(cause, one), one)
    return sorted(found.values(), key=lambda group: -group.letters)


async def show(
    settings: Settings, pool: asyncpg.Pool, wanted: str, *, body: bool
) -> list[dict[str, Any]]:
    """The letters that the quarantine lacks of an event's id or a place, as `store.show` has them.

    Raises:
        UserError: the broker does not answer.
    """
    found: list[dict[str, Any]] = []
    async with aclosing(_only_on_topics(settings, pool)) as chunks:
        async for lacking in chunks:
            found += [
                _row(letter, body=body)
                for letter in lacking
                if wanted in (letter.event_id, _place(letter))
            ]
            if len(found) >= SHOWN_MAX:
                break
    return found[:SHOWN_MAX]


async def _only_on_topics(
    settings: Settings, pool: asyncpg.Pool
) -> AsyncGenerator[list[BadRecord]]:
    """In chunks, some of them empty: a body may be large, and there may be many."""
    ranges = RangeReader(settings)
    async with kafka.reader(settings) as consumer:
        places = await kafka.partitions(settings, DEAD_LETTERS)
        consumer.assign(places)
        consumer.pause(*places)  # its offsets are wanted, not its records
        starts = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        try:
            for place, last in ends.items():
                for start in range(max(starts[place], last - RECORDS_MAX), last, CHUNK_OFFSETS):
                    end = min(start + CHUNK_OFFSETS, last)
                    try:
                        records = await ranges.read(place.topic, place.partition, start, end)
                    except RangeExpiredError:  # retention took them since
                        continue
                    yield await _lacking(pool, letters.of_dead_letters(records))
        finally:
            await ranges.close()


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


def _is_meant(letter: BadRecord, selection: Selection) -> bool:
    """By what `payments dlq list` takes."""
    return (
        (selection.failures is None or letter.failure in selection.failures)
        and (selection.since is None or letter.received_at >= selection.since)
        and (selection.until is None or letter.received_at < selection.until)
    )


def _group(letter: BadRecord) -> Group:
    """Of no letter yet, but of this one's cause."""
    return Group(
        provider=letter.provider,
        failure=letter.failure.value,
        component=letter.component,
        error=first_error([error.model_dump() for error in letter.errors]) or None,
        resolution=None,
        letters=0,
        oldest_received_at=letter.received_at,
        newest_received_at=letter.received_at,
        example_id=_place(letter),
    )


def _together(group: Group, other: Group) -> Group:
    """With one letter more."""
    return group._replace(
        letters=group.letters + 1,
        oldest_received_at=min(group.oldest_received_at, other.oldest_received_at),
        newest_received_at=max(group.newest_received_at, other.newest_received_at),
    )


def _place(letter: BadRecord) -> str:
    """Its name as long as it has no id."""
    return f"{letter.source.topic}/{letter.source.partition}/{letter.source.offset}"


def _row(letter: BadRecord, *, body: bool) -> dict[str, Any]:
    unknown = ("ingested_at", "workflow_id", "resolution", "resolved_at", "resolved_by")
    never_sent = ("resolution_note", "redriven_event_id", "redriven_body_sha256", "patch")
    source = letter.source
    return {
        **letter.model_dump(exclude={"schema_version", "source", "body"}),
        **dict.fromkeys((*unknown, *never_sent)),
        "id": _place(letter),
        "failure": letter.failure.value,
        "errors": [error.model_dump() for error in letter.errors],
        "source_topic": source.topic,
        "source_partition": source.partition,
        "source_offset": source.offset,
        "body_bytes": len(letter.body),
        "body": letter.body if body else None,
    }
