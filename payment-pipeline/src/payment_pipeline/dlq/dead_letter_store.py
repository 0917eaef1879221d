"""The quarantine in PostgreSQL: its queries, and how dead letters are closed there."""

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
"""Dead letters shown of one event. Each failed delivery leaves one."""
ID_MAX: Final = 2**63 - 1


class Group(NamedTuple):
    """Dead letters with the same cause."""

    provider: str
    failure: str
    component: str
    error: str | None
    """The first error of the dead letters, with its path."""
    resolution: str | None
    """`None` if the dead letters are open."""
    letters: int
    oldest_received_at: datetime
    newest_received_at: datetime
    example_id: int | str
    """Id of one dead letter, or its source `topic/partition/offset` if it is on a topic only."""


class Closer(NamedTuple):
    """Who closes dead letters, and why. Stored with each dead letter."""

    by: str
    note: str | None = None


async def groups(pool: asyncpg.Pool, selection: Selection, *, closed: bool) -> list[Group]:
    """Return the open dead letters by class and error, the largest group first.

    With `closed` the closed ones are included.
    """
    given = (closed, selection.failures, selection.since, selection.until, GROUPS_MAX)
    return [Group(**row) for row in await pool.fetch(SQL["groups"], *given)]


async def select(
    pool: asyncpg.Pool, selection: Selection, resolution: Resolution | None = None
) -> list[int]:
    """Return the ids of the selected dead letters that are open, or that have a resolution.

    The oldest come first.
    """
    rows = await pool.fetch(SQL["select"], resolution, *selection)
    return [row["id"] for row in rows]


async def letters(pool: asyncpg.Pool, ids: Sequence[int]) -> list[Letter]:
    """Return those of the dead letters that are open, with their bodies."""
    return [_letter(row) for row in await pool.fetch(SQL["letters"], ids)]


async def show(pool: asyncpg.Pool, wanted: str, *, body: bool) -> list[Mapping[str, Any]]:
    """Return the dead letters with an id, an event id, or a source `topic/partition/offset`."""
    at = Coordinates.parse(wanted)
    source = (at.topic, at.partition, at.offset) if at else (None, None, None)
    number = number_of(wanted)
    return list(map(dict, await pool.fetch(SQL["show"], wanted, body, number, SHOWN_MAX, *source)))


def number_of(wanted: str) -> int | None:
    """Return the text as the id of a dead letter, or `None` if it can't be one."""
    number = int(wanted) if wanted.isascii() and wanted.isdigit() else None
    return None if number is None or number > ID_MAX else number


async def intend(
    pool: asyncpg.Pool, ready: Sequence[Ready], patch: list[dict[str, Any]] | None
) -> None:
    """Store which events are about to be sent, before they are sent."""
    columns = ([r.letter.id for r in ready], [r.event_id for r in ready])
    digests = [r.body_sha256 for r in ready]
    await pool.execute(SQL["intend"], *columns, digests, patch and to_json(patch))


class Sent(NamedTuple):
    """What was sent, or is about to be sent, for a dead letter."""

    to: Coordinates | None = None
    """The raw record; `None` if it is not sent yet."""
    identity: str | None = None
    """The identity of the body that is sent, if a patch may have changed it."""


async def settle(
    pool: asyncpg.Pool, sent: Mapping[int, Sent], closer: Closer
) -> dict[int, Resolution]:
    """Close the dead letters whose event is in bronze; return the resolution of each.

    The resolution says whether the record that was sent now wrote the row.
    """
    sent_to = [each.to for each in sent.values()]
    rows = await pool.fetch(
        SQL["settle"],
        list(sent),
        [at.topic if at else None for at in sent_to],
        [at.partition if at else None for at in sent_to],
        [at.offset if at else None for at in sent_to],
        [each.identity for each in sent.values()],
        closer.by,
        closer.note,
    )
    return {row["id"]: Resolution(row["resolution"]) for row in rows}


class Rejected(NamedTuple):
    """An open dead letter and the coordinates of its raw record."""

    id: int
    body_sha256: str
    identity_sha256: str | None
    source: Coordinates


async def rejected_by(
    pool: asyncpg.Pool, component: str, events: Sequence[PaymentEvent]
) -> list[Rejected]:
    """Return a component's open dead letters with a body or an identity that is an event now."""
    rows = await pool.fetch(
        SQL["rejected_by"],
        component,
        [event.provider for event in events],
        [event.event_id for event in events],
        [event.body_sha256 for event in events],
        [event.identity_sha256 for event in events],
    )
    return [
        Rejected(row["id"], row["body_sha256"], row["identity_sha256"], _source(row))
        for row in rows
    ]


async def conflicts(pool: asyncpg.Pool, sent: Mapping[int, Sent]) -> set[int]:
    """Return those of the dead letters whose event id bronze has with another identity."""
    identities = [each.identity for each in sent.values()]
    return {row["id"] for row in await pool.fetch(SQL["conflicts"], list(sent), identities)}


class Rejection(NamedTuple):
    """The new dead letter of a record that was redriven and rejected again."""

    id: int
    failure: str
    error: str


async def rejections(
    pool: asyncpg.Pool, sent_to: Sequence[Coordinates]
) -> dict[Coordinates, Rejection]:
    """Return the new dead letters of redriven records, by the coordinates of the record."""
    rows = await pool.fetch(
        SQL["rejections"],
        [at.topic for at in sent_to],
        [at.partition for at in sent_to],
        [at.offset for at in sent_to],
    )
    return {
        _source(row): Rejection(row["id"], row["failure"], first_error(row["errors"]))
        for row in rows
    }


async def closed(pool: asyncpg.Pool, ids: Sequence[int]) -> dict[int, str]:
    """Return those of the dead letters that are closed: how, and by whom."""
    rows = await pool.fetch(SQL["closed"], ids)
    return {row["id"]: f"{row['resolution']} by {row['resolved_by']}" for row in rows}


async def close(
    pool: asyncpg.Pool, ids: Sequence[int], resolution: Resolution, closer: Closer
) -> int:
    """Close dead letters without asking bronze; return how many were open."""
    return len(await pool.fetch(SQL["close"], ids, resolution, closer.by, closer.note))


async def reopen(pool: asyncpg.Pool, ids: Sequence[int]) -> int:
    """Reopen dismissed dead letters; return how many."""
    return len(await pool.fetch(SQL["reopen"], ids))


def first_error(errors: Sequence[Mapping[str, Any]]) -> str:
    """Return the first error of a dead letter as one line."""
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
