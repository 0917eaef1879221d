"""Finds a person in bronze, and replaces the person's id by a token in one transaction."""

from collections.abc import Mapping
from dataclasses import replace
from secrets import token_hex
from typing import Final, NamedTuple

import asyncpg
from aiokafka import TopicPartition

from payment_pipeline.adapters.sql import queries
from payment_pipeline.bronze.contract import DECISIONS_TABLE, EVENTS_TABLE, QUARANTINE_TABLE
from payment_pipeline.bronze.erased import STAND_IN

from .person import Person

RANDOM_BYTES: Final = 16
EVENTS_TABLES: Final = (EVENTS_TABLE, "payment_events_history")

SQL: Final = queries(__package__, "queries.sql")
SCOPES_MAX: Final = 100
"""Scopes of other customers that are tried too. After a crash, bronze no longer says which scope an
erased customer had. A platform may have too many merchants to try all."""
LETTERS_A_BATCH: Final = 200
"""Dead letters in memory at once. A body has up to one MiB."""


class Letters(NamedTuple):
    """The numbers of the dead letters whose body is about a person."""

    open: list[int]
    closed: list[int]


class Erased(NamedTuple):
    """What the transaction changed."""

    rows: int
    """Events, decisions, dead letters and features."""
    xid: int
    """The transaction, which the lake must have reached to have it."""


async def known_by(connection: asyncpg.Connection, person: Person) -> Person:
    """The person, with everything that bronze says leads to them."""
    theirs = person.provider, person.customer_ids
    row = await connection.fetchrow(SQL["known_by"], *theirs)
    scopes = await connection.fetch(SQL["scopes"], *theirs, SCOPES_MAX)
    return replace(
        person,
        objects=person.objects | frozenset(row["objects"]),
        payments=tuple({*person.payments, *row["payments"]}),
        cards=tuple(row["cards"]),
        workflows=tuple({*person.workflows, *row["workflows"]}),
        scopes=person.scopes | {(each["merchant"], each["livemode"]) for each in scopes},
    )


async def find(connection: asyncpg.Connection, person: Person) -> dict[str, int]:
    """How many rows name the person, by table: every table, every column, bytes too."""
    found = {}
    named = "|".join(person.id_patterns)
    for row in await connection.fetch(SQL["tables"]):
        name = row["table_name"]
        of_bytes = "".join(f", encode({_quoted(each)}, 'escape')" for each in row["of_bytes"])
        query = SQL["naming"].format(table=_quoted(name), of_bytes=of_bytes)
        if count := await connection.fetchval(query, named, timeout=None):
            found[name] = count
    theirs = person.provider, person.customer_ids
    for name in (*EVENTS_TABLES, DECISIONS_TABLE):
        query = SQL["rows_of_customer"].format(table=name)
        if count := await connection.fetchval(query, *theirs, timeout=None):
            found[name] = max(count, found.get(name, 0))
    # A body may be about a payment of theirs without naming them.
    about = await _letters(connection, person)
    if bodies := len(about.open) + len(about.closed):
        found[QUARANTINE_TABLE] = max(bodies, found.get(QUARANTINE_TABLE, 0))
    return found


async def open_letters(
    connection: asyncpg.Connection, person: Person, cut_before: Mapping[TopicPartition, int]
) -> list[int]:
    """The open dead letters that an erasure would leave without their bytes.

    Args:
        connection: to bronze.
        person: the erasure removes the bodies of this person's dead letters.
        cut_before: each partition to cut, with the first offset that stays. An open dead letter
            there may belong to anybody.
    """
    cuts = [(at.topic, at.partition, offset) for at, offset in cut_before.items()]
    columns = list(zip(*cuts, strict=True)) or [(), (), ()]
    rows = await connection.fetch(SQL["letters_cut"], *columns)
    about = await _letters(connection, person)
    return sorted({*about.open, *(row["id"] for row in rows)})


async def erase(connection: asyncpg.Connection, person: Person) -> Erased:
    """Replace the person's id by a token, in one transaction. A repeat changes nothing.

    Open dead letters keep their bytes. Writers continue meanwhile: rows and features are locked in
    the same order as writers lock them. Only writers of decisions wait.
    """
    token = _token()
    theirs = person.provider, person.customer_ids
    payments, cards = list(person.payments), list(person.cards)
    async with connection.transaction(isolation="read_committed"):
        await connection.execute(SQL["lock"], *theirs, payments)
        await connection.execute(SQL["lock_decisions"])
        objects = sorted(person.objects)
        await connection.execute(SQL["remember_objects"], *theirs, token, objects)
        tokens = [_token() for _ in cards]
        changed = [
            *[
                await connection.execute(
                    SQL["erase_events"].format(table=table),
                    *(*theirs, payments, token, cards, tokens),
                )
                for table in EVENTS_TABLES
            ],
            await connection.execute(SQL["erase_decisions"], *theirs, payments, token),
            await connection.execute(
                SQL["erase_letters"], (await _letters(connection, person)).closed
            ),
        ]
        await connection.execute(SQL["lock_features"], *theirs, cards)
        changed += [
            await connection.execute(SQL["erase_features"], *theirs, cards),
            await connection.execute(SQL["leave_features"], *theirs),
            await connection.execute(SQL["erase_due"], *theirs, cards),
        ]
        xid = int(await connection.fetchval(SQL["transaction"]))
    return Erased(sum(int(said.rpartition(" ")[2]) for said in changed), xid)


async def _letters(connection: asyncpg.Connection, person: Person) -> Letters:
    """Find the dead letters about the person: their bodies are parsed here, one batch at a time."""
    about = Letters([], [])
    async with connection.transaction():
        given = person.provider, person.bytes_in_bodies
        async for row in connection.cursor(SQL["letters"], *given, prefetch=LETTERS_A_BATCH):
            if person.is_in(row["body"]) or person.is_in((row["patch"] or "").encode()):
                (about.open if row["is_open"] else about.closed).append(row["id"])
    return about


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _token() -> str:
    return STAND_IN + token_hex(RANDOM_BYTES)
