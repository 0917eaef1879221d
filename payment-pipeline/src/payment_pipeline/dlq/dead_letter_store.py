"""How does the quarantine answer, and how is a letter closed there?"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from payment_pipeline.adapters.sql import queries
from payment_pipeline.bronze.contract import Resolution
from payment_pipeline.bronze.rows import to_json
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import FieldError
from payment_pipeline.domain.raw import Coordinates

from .dead_letter_selection import Selection
from .redrive_plan import Letter, Ready

SQL: Final = queries("payment_pipeline.dlq", "queries.sql")
GROUPS_MAX: Final = 200
SHOWN_MAX: Final = 20
"""Letters of one event; there is one a delivery that failed."""
ID_MAX: Final = 2**63 - 1


class Group(NamedTuple):
    """Letters of one cause."""

    provider: str
    failure: str
    component: str
    error: str | None
    """The first of their errors, with its path."""
    resolution: str | None
    """`None`: they are open."""
    letters: int
    oldest_received_at: datetime
    newest_received_at: datetime
    example_id: int | str
    """A letter's id; of one that lies only on a topic its source, `topic/partition/offset`."""


class Closer(NamedTuple):
    """Who closes letters, and why; kept with each."""

    by: str
    note: str | None = None


async def groups(pool: asyncpg.Pool, selection: Selection, *, closed: bool) -> list[Group]:
    """The open letters by class and error, the most of a cause first; also the `closed` ones."""
    given = (closed, selection.failures, selection.since, selection.until, GROUPS_MAX)
    return [Group(**row) for row in await pool.fetch(SQL["groups"], *given)]


async def select(
    pool: asyncpg.Pool, selection: Selection, resolution: Resolution | None = None
) -> list[int]:
    """The ids of the letters that are meant and open, or closed in one way, the oldest first."""
    rows = await pool.fetch(SQL["select"], resolution, *selection)
    return [row["id"] for row in rows]


async def letters(pool: asyncpg.Pool, ids: Sequence[int]) -> list[Letter]:
    """Those of the letters that are open, with their bodies."""
    return [_letter(row) for row in await pool.fetch(SQL["letters"], ids)]


async def show(pool: asyncpg.Pool, wanted: str, *, body: bool) -> list[Mapping[str, Any]]:
    """Every letter under a letter's id, an event's, or a source's `topic/partition/offset`."""
    place = Coordinates.parse(wanted)
    source = (place.topic, place.partition, place.offset) if place else (None, None, None)
    number = number_of(wanted)
    return list(map(dict, await pool.fetch(SQL["show"], wanted, body, number, SHOWN_MAX, *source)))


def number_of(wanted: str) -> int | None:
    """A letter's id, if it can be one."""
    number = int(wanted) if wanted.isascii() and wanted.isdigit() else None
    return None if number is None or number > ID_MAX else number


async def intend(
    pool: asyncpg.Pool, ready: Sequence[Ready], patch: list[dict[str, Any]] | None
) -> None:
    """Write down what is about to be sent, before it is."""
    columns = ([r.letter.id for r in ready], [r.event_id for r in ready])
    digests = [r.body_sha256 for r in ready]
    await pool.execute(SQL["intend"], *columns, digests, patch and to_json(patch))


async def settle(
    pool: asyncpg.Pool, sent: Mapping[int, Coordinates | None], closer: Closer
) -> dict[int, Resolution]:
    """Close those letters whose event bronze has; say of each whether it was this sending's."""
    places = list(sent.values())
    rows = await pool.fetch(
        SQL["settle"],
        list(sent),
        [place.topic if place else None for place in places],
        [place.partition if place else None for place in places],
        [place.offset if place else None for place in places],
        closer.by,
        closer.note,
    )
    return {row["id"]: Resolution(row["resolution"]) for row in rows}


class Rejected(NamedTuple):
    """An open letter, and the raw record that it is of."""

    id: int
    body_sha256: str
    source: Coordinates


async def rejected_by(
    pool: asyncpg.Pool, component: str, events: Sequence[PaymentEvent]
) -> list[Rejected]:
    """The open letters that a component left of what is an event now, with the same body."""
    rows = await pool.fetch(
        SQL["rejected_by"],
        component,
        [event.provider for event in events],
        [event.event_id for event in events],
        [event.body_sha256 for event in events],
    )
    return [Rejected(row["id"], row["body_sha256"], _source(row)) for row in rows]


async def conflicts(pool: asyncpg.Pool, ids: Sequence[int]) -> set[int]:
    """Those of the letters whose event bronze has with another body."""
    return {row["id"] for row in await pool.fetch(SQL["conflicts"], ids)}


class Rejection(NamedTuple):
    """The letter that a record which was sent again became."""

    id: int
    failure: str
    error: str


async def rejections(
    pool: asyncpg.Pool, places: Sequence[Coordinates]
) -> dict[Coordinates, Rejection]:
    """By the record's coordinates."""
    rows = await pool.fetch(
        SQL["rejections"],
        [place.topic for place in places],
        [place.partition for place in places],
        [place.offset for place in places],
    )
    return {
        _source(row): Rejection(row["id"], row["failure"], first_error(row["errors"]))
        for row in rows
    }


async def closed(pool: asyncpg.Pool, ids: Sequence[int]) -> dict[int, str]:
    """Those of the letters that are closed by now: how, and by whom."""
    rows = await pool.fetch(SQL["closed"], ids)
    return {row["id"]: f"{row['resolution']} by {row['resolved_by']}" for row in rows}


async def close(
    pool: asyncpg.Pool, ids: Sequence[int], resolution: Resolution, closer: Closer
) -> int:
    """Close letters without bronze's word; return how many were open."""
    return len(await pool.fetch(SQL["close"], ids, resolution, closer.by, closer.note))


async def reopen(pool: asyncpg.Pool, ids: Sequence[int]) -> int:
    """Take dismissals back; return how many."""
    return len(await pool.fetch(SQL["reopen"], ids))


def first_error(errors: Sequence[Mapping[str, Any]]) -> str:
    """A letter's first error as a line."""
    for error in errors:
        return FieldError(**error).line
    return ""


def _letter(row: asyncpg.Record) -> Letter:
    names = (name for name in Letter._fields if name != "source")
    return Letter(**{name: row[name] for name in names}, source=_source(row))


def _source(row: asyncpg.Record) -> Coordinates:
    return Coordinates(
        topic=row["source_topic"],
        partition=row["source_partition"],
        offset=row["source_offset"],
    )
