"""In which order does a person go, so that a crash at any step leaves nothing that can't be found?

    topics     cut, once the ledger has proved that what goes with them is in bronze
    workflows  deleted
    bronze     a token in the person's place, in one transaction
    lake       loads the rows that the transaction touched; the marts are built anew; snapshots go
    proof      everything is searched again, and what is left is counted

Bronze comes after what is found by bronze's knowledge of the person, and before what is found by
the customer's id alone. So a call after a crash finds the rest, whatever it is. Events flow on
meanwhile: what came about the person in between is found by the proof and goes in another pass.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
"""Somebody about whom events come faster than that is not erased at the provider yet."""
AT_REST_WITHIN_S: Final = 120.0
LETTERS_NAMED_MAX: Final = 20

Progress = Callable[[str], None]


class Lakehouse(Protocol):
    """What the tables behind bronze must do; each call blocks."""

    def find(self, patterns: Sequence[str]) -> dict[str, int]:
        """Rows of files in which one of the patterns is found, by table."""
        ...

    def catch_up(self, xid: int) -> None:
        """Load until a transaction of bronze is there."""
        ...

    def rebuild(self) -> None:
        """Build what is made of the lake's tables anew."""
        ...

    def forget_history(self, patterns: Sequence[str]) -> None:
        """Leave each table its current state alone, and no older answer in a cache."""
        ...


@dataclass(frozen=True)
class Stores:
    """Where a person may be."""

    settings: Settings
    connection: asyncpg.Connection
    temporal: Client
    lakehouse: Lakehouse | None


@dataclass(frozen=True)
class Found:
    """Where the person is."""

    person: Person
    cut: Cut = field(default_factory=Cut)
    rows: dict[str, int] = field(default_factory=dict)
    runs: list[erased_workflows.Run] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    open_letters: list[int] = field(default_factory=list)
    """What must be redriven or dismissed before anything is erased."""

    def counts(self) -> dict[str, int]:
        """Records, rows and workflows by place; none where there is nothing."""
        return {
            **{f"topic {topic}": count for topic, count in sorted(self.cut.theirs.items())},
            **({"workflows": len(self.runs)} if self.runs else {}),
            **{f"bronze {table}": count for table, count in self.rows.items()},
            **{f"lake {table}": count for table, count in sorted(self.files.items())},
        }


@dataclass(frozen=True)
class Proof:
    """What an erasure did."""

    number: int
    """In `erasures`."""
    found: dict[str, int]
    left: dict[str, int]
    neighbours: int
    """Records of others that were cut from the topics: in bronze, and not to be replayed."""
    replayable_from: datetime | None
    """What was received before is not wholly on the topics any more."""


async def search(stores: Stores, person: Person, progress: Progress) -> Found:
    """Find the person in every place; what bronze knows of them leads on.

    Raises:
        UserError: a store doesn't answer.
    """
    progress("searching bronze")
    known = await erased_rows.known_by(stores.connection, person.provider, person.customer_id)
    person = replace(
        known,
        objects=known.objects | person.objects,
        payments=tuple({*known.payments, *person.payments}),
        workflows=tuple({*known.workflows, *person.workflows}),
    )
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
    """An event that was acknowledged is not erased before it has had its chance.

    Raises:
        UserError: some letters are open.
    """
    if not letters:
        return
    named = "".join(f" --id {each}" for each in letters[:LETTERS_NAMED_MAX])
    first = f", the first {LETTERS_NAMED_MAX} of them" if len(letters) > LETTERS_NAMED_MAX else ""
    are = "letters" if len(letters) > 1 else "letter"
    raise UserError(
        f"{len(letters):,} open dead {are} would lose the bytes to redrive: "
        f"`payments dlq redrive{named}` or `payments dlq dismiss{named}`{first}, then call again.",
        exit_code=1,
    )


async def forget(stores: Stores, found: Found, progress: Progress) -> Proof:
    """Erase what a search has found, and search again.

    Raises:
        UserError: a store doesn't answer, events are not at rest in bronze yet, or dead letters
            are open; the same call again goes on from there.
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
        await _prove_at_rest(stores.settings, progress)
    refuse_open(await erased_rows.open_letters(stores.connection, person, found.cut.before))
    if found.cut.before:
        await erasure_journal.cut(stores.connection, number, found.cut)
        progress("cutting the topics")
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
        progress("building the marts anew")
        await asyncio.to_thread(lakehouse.rebuild)
        progress("expiring the lake's snapshots")
        await asyncio.to_thread(lakehouse.forget_history, person.patterns)


async def _prove_at_rest(settings: Settings, progress: Progress) -> None:
    """Everything that lies on the topics is in bronze, or nothing is cut.

    Raises:
        UserError: events are on their way still, or lost.
    """
    window = Window(None, datetime.now(UTC))
    request = ledger.Request(window, True, None, AT_REST_WITHIN_S, Stage.BRONZE)
    report = await ledger.run(settings, request, progress)
    if missing := report.audit.missing.count:
        raise UserError(
            f"{missing:,} events on the topics are not in bronze, so nothing is cut: see "
            "`payments audit`, then call again.",
            exit_code=1,
        )
    if not report.settled:
        raise UserError(
            "The normalizer or the dispatcher is behind, so nothing is cut: see `payments status`, "
            "then call again.",
            exit_code=1,
        )
