"""The steps of an erasure, in an order that a crash at any step can be continued from.

    topics     records are deleted, after an audit proved that bronze has their events
    workflows  are deleted
    bronze     a token replaces the person's id, in one transaction
    lake       loads the changed rows; the marts are rebuilt; old snapshots are deleted
    proof      every store is searched again, and what is left is counted

Topics and workflows are searched with ids that bronze knows, so bronze is erased after them. The
lake is searched by the customer's id alone, so it comes after bronze. After a crash the same call
finds what is left. Events keep flowing: the proof finds an event about the person that arrives
meanwhile, and another pass erases it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import asyncpg
from temporalio.client import Client

from payment_pipeline.domain.failures import UserError
from payment_pipeline.ledger import audit_runner as ledger
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.settings import Settings

from . import erased_rows, erased_topics, erased_workflows, erasure_journal
from .erased_topics import Cut
from .person import Person

PASSES_MAX: Final = 3
"""If new events about the person need more passes, the provider still has the person."""
STORED_WITHIN_S: Final = 120.0
LETTERS_NAMED_MAX: Final = 20

Progress = Callable[[str], None]


class Lakehouse(Protocol):
    """The operations on the lake and the marts. Each call blocks."""

    def find(self, patterns: Sequence[str]) -> dict[str, int]:
        """Count the rows in files that match a pattern, by table."""
        ...

    def catch_up(self, xid: int) -> None:
        """Load until the lake has a transaction of bronze."""
        ...

    def rebuild(self) -> None:
        """Rebuild the marts."""
        ...

    def forget_history(self, patterns: Sequence[str]) -> None:
        """Delete the old snapshots of each table, and all cached answers."""
        ...


@dataclass(frozen=True)
class Stores:
    """The stores that may hold a person's data."""

    settings: Settings
    connection: asyncpg.Connection
    temporal: Client
    lakehouse: Lakehouse | None


@dataclass(frozen=True)
class Found:
    """What a search found of the person in each store."""

    person: Person
    cut: Cut = field(default_factory=Cut)
    rows: dict[str, int] = field(default_factory=dict)
    runs: list[erased_workflows.Run] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    open_letters: list[int] = field(default_factory=list)
    """Dead letters that must be redriven or dismissed before the erasure."""

    def counts(self) -> dict[str, int]:
        """Count records, rows and workflows by store. Stores with nothing are left out."""
        return {
            **{f"topic {topic}": count for topic, count in sorted(self.cut.theirs.items())},
            **({"workflows": len(self.runs)} if self.runs else {}),
            **{f"bronze {table}": count for table, count in self.rows.items()},
            **{f"lake {table}": count for table, count in sorted(self.files.items())},
        }


@dataclass(frozen=True)
class Proof:
    """The result of an erasure."""

    number: int
    """Its number in the table `erasures`."""
    found: dict[str, int]
    left: dict[str, int]
    neighbours: int
    """Records of other people deleted from the topics. Bronze has them; no replay can read them."""
    replayable_from: datetime | None
    """Records received before this time are no longer complete on the topics."""


async def search(stores: Stores, person: Person, progress: Progress) -> Found:
    """Search every store for the person, with the ids that bronze knows.

    Raises:
        UserError: a store does not answer.
    """
    progress("searching bronze")
    person = await erased_rows.known_by(stores.connection, person)
    rows = await erased_rows.find(stores.connection, person)
    cut = await erased_topics.find(stores.settings, person, progress)
    runs = await erased_workflows.find(stores.temporal, person, progress)
    files = {}
    if stores.lakehouse:
        progress("searching the lake's files")
        files = await asyncio.to_thread(stores.lakehouse.find, person.patterns)
    letters = await erased_rows.open_letters(stores.connection, person, cut.before)
    return Found(person, cut, rows, runs, files, letters)


def refuse_open(letters: Sequence[int]) -> None:
    """Refuse an erasure while dead letters are open: it would delete the bytes to redrive.

    Raises:
        UserError: some dead letters are open.
    """
    if not letters:
        return
    named = "".join(f" --id {each}" for each in letters[:LETTERS_NAMED_MAX])
    first = f", the first {LETTERS_NAMED_MAX} of them" if len(letters) > LETTERS_NAMED_MAX else ""
    are = "letters" if len(letters) > 1 else "letter"
    raise UserError(
        f"{len(letters):,} open dead {are} would lose the bytes to redrive. Run "
        f"`payments dlq redrive{named}` or `payments dlq dismiss{named}`{first}, then try again.",
        exit_code=1,
    )


async def forget(stores: Stores, found: Found, progress: Progress) -> Proof:
    """Erase what a search has found, and search again.

    Raises:
        UserError: a store does not answer, events are not in bronze yet, or dead letters are open.
            The same call again continues the erasure.
    """
    number = await erasure_journal.begin(stores.connection, found.person.provider, found.counts())
    first, neighbours, whole_from = found.counts(), 0, None
    for _ in range(PASSES_MAX):
        await _pass(stores, found, number, progress)
        neighbours += found.cut.neighbours
        whole_from = found.cut.whole_from or whole_from
        found = await search(stores, found.person, progress)
        if not found.counts():
            break
    left = found.counts()
    await erasure_journal.finish(stores.connection, number, left)
    return Proof(number, first, left, neighbours, whole_from)


async def _pass(stores: Stores, found: Found, number: int, progress: Progress) -> None:
    person = found.person
    if found.cut.before:
        await _prove_stored(stores.settings, progress)
    refuse_open(await erased_rows.open_letters(stores.connection, person, found.cut.before))
    if found.cut.before:
        await erasure_journal.cut(stores.connection, number, found.cut)
        progress("deleting records of the topics")
        await erased_topics.apply(stores.settings, found.cut)
    progress("deleting workflows")
    await erased_workflows.delete(stores.temporal, found.runs)
    progress("erasing in bronze")
    erased = await erased_rows.erase(stores.connection, person)
    lakehouse = stores.lakehouse
    if lakehouse is None:
        return
    progress("loading the lake")
    await asyncio.to_thread(lakehouse.catch_up, erased.xid)
    if found.files:
        progress("rebuilding the marts")
        await asyncio.to_thread(lakehouse.rebuild)
        progress("expiring the lake's snapshots")
        await asyncio.to_thread(lakehouse.forget_history, person.patterns)


async def _prove_stored(settings: Settings, progress: Progress) -> None:
    """Prove by an audit that bronze has all events of the topics.

    Raises:
        UserError: events are still in progress, or missing.
    """
    window = Window(None, datetime.now(UTC))
    request = ledger.Request(window, True, None, STORED_WITHIN_S, Stage.BRONZE)
    report = await ledger.run(settings, request, progress)
    if missing := report.audit.missing.count:
        raise UserError(
            f"Bronze lacks {missing:,} events of the topics, so nothing was deleted. Run "
            "`payments audit` to see them, then try again.",
            exit_code=1,
        )
    if not report.settled:
        raise UserError(
            "The normalizer or the dispatcher lags, so nothing was deleted. Run `payments status`, "
            "then try again.",
            exit_code=1,
        )
