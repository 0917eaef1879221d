"""What does `payments forget` do with a terminal?"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from temporalio.service import RPCError

from payment_pipeline.adapters import kafka, postgres, temporal
from payment_pipeline.domain.failures import UserError
from payment_pipeline.erasure import journal
from payment_pipeline.erasure.forget import (
    Found,
    Lakehouse,
    Proof,
    Stores,
    forget,
    refuse_open,
    search,
)
from payment_pipeline.erasure.person import Person, checked
from payment_pipeline.ledger.check import ledger_verdict
from payment_pipeline.ledger.window import Window
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings

BRONZE: Final = "bronze"
FACTS: Final = "facts"
THROUGH: Final = (BRONZE, FACTS)


@dataclass(frozen=True)
class Request:
    """What is asked of an erasure."""

    provider: str
    customer_id: str
    through: str = FACTS
    dry_run: bool = False
    confirmed: bool = False
    as_json: bool = False


def main(settings: Settings, request: Request, rebuild_marts: Callable[[Settings], None]) -> int:
    """Search, ask, erase, prove; return the exit code: 1 if something is left.

    Args:
        settings: of the stack.
        request: whom, and how far.
        rebuild_marts: builds every model anew.

    Raises:
        UserError: the call is wrong, a store doesn't answer, or somebody is being erased already.
    """
    if request.provider not in providers():
        raise UserError(f"No provider {request.provider}: there are {', '.join(providers())}.")
    if request.through not in THROUGH:
        raise UserError(f"--through {request.through}: it is one of {', '.join(THROUGH)}.")
    person = Person(request.provider, checked(request.customer_id))
    kafka.quiet()
    lakehouse = WholeLake(settings, rebuild_marts) if request.through == FACTS else None
    try:
        return asyncio.run(_run(settings, request, person, lakehouse))
    except RPCError as error:
        raise UserError(f"Temporal can't be asked to the end ({error.status.name}).", 1) from None
    except TimeoutError:
        raise UserError("Temporal has not deleted every workflow yet: call again.", 1) from None


async def _run(
    settings: Settings, request: Request, person: Person, lakehouse: Lakehouse | None
) -> int:
    talk = Console(stderr=True)
    async with opened(settings, lakehouse, dry_run=request.dry_run) as stores:
        with talk.status("searching") as status:
            found = await search(stores, person, status.update)
        if request.dry_run or not found.counts():
            _show(request, _as_found(found))
            return 0
        refuse_open(found.open_letters)
        if not request.confirmed:
            _show(request, _as_found(found))
            if not typer.confirm("Erase this person everywhere, for good?", err=True):
                return 1
        with talk.status("erasing") as status:
            proof = await forget(stores, found, status.update)
    told = _as_proved(proof)
    if lakehouse:
        verdict = await asyncio.to_thread(ledger_verdict, settings, _of_all_time())
        told |= {"ok": told["ok"] and verdict.ok, "ledger": verdict.sentence}
    _show(request, told)
    return 0 if told["ok"] else 1


@asynccontextmanager
async def opened(
    settings: Settings, lakehouse: Lakehouse | None, *, dry_run: bool = False
) -> AsyncIterator[Stores]:
    """Every store, for one erasure at a time; if it is to erase, beside no replay and no redrive.

    Raises:
        UserError: one doesn't answer, or one of those is under way.
    """
    client = await temporal.connect(settings)
    pool = await postgres.pool(settings, application="payments-forget")
    try:
        async with (
            journal.alone(pool) as connection,
            nullcontext() if dry_run else journal.no_rewriting(pool),
        ):
            # A search reads whole tables, and a person may have many rows.
            await connection.execute("SET statement_timeout = 0")
            yield Stores(settings, connection, client, lakehouse)
    finally:
        await pool.close()


@dataclass(frozen=True)
class WholeLake:
    """The lakehouse of the settings, and what the dashboards have cached of it."""

    settings: Settings
    rebuild_marts: Callable[[Settings], None]
    schemas: tuple[str, ...] = ()
    """Where to look; everywhere if none."""

    def find(self, patterns: Sequence[str]) -> dict[str, int]:
        """See `forget.Lakehouse`."""
        from local_stack import superset
        from orchestration_dagster.lake import erase

        found = erase.find(self.settings, patterns, self.schemas)
        if answers := superset.cached(self.settings, patterns):
            found["superset/cache"] = answers
        return found

    def catch_up(self, xid: int) -> None:
        """See `forget.Lakehouse`."""
        from orchestration_dagster.lake import erase

        erase.catch_up(self.settings, xid)

    def rebuild(self) -> None:
        """See `forget.Lakehouse`."""
        self.rebuild_marts(self.settings)

    def forget_history(self, patterns: Sequence[str]) -> None:
        """See `forget.Lakehouse`."""
        from local_stack import superset
        from orchestration_dagster.lake import erase

        erase.forget_history(self.settings, patterns, self.schemas)
        superset.forget_cached(self.settings)


def _of_all_time() -> Window:
    return Window(None, datetime.now(UTC))


def _as_found(found: Found) -> dict[str, Any]:
    """What a search says; nothing is changed."""
    whole_from = found.cut.whole_from
    return {
        "ok": True,
        "found": found.counts(),
        "open_letters": found.open_letters,
        "neighbours_cut": found.cut.neighbours,
        "replayable_from": whole_from and whole_from.isoformat(),
    }


def _as_proved(proof: Proof) -> dict[str, Any]:
    """What an erasure says; no backup that was begun before `backup_from` is to be restored."""
    return {
        "ok": not proof.left,
        "erasure": proof.number,
        "found": proof.found,
        "left": proof.left,
        "neighbours_cut": proof.neighbours,
        "replayable_from": proof.replayable_from and proof.replayable_from.isoformat(),
        "backup_from": datetime.now(UTC).isoformat(),
    }


def _show(request: Request, told: dict[str, Any]) -> None:
    if request.as_json:
        typer.echo(json.dumps(told))
        return
    console = Console(highlight=False)
    found, left = told["found"], told.get("left")
    if not found and not left:
        console.print("Nothing here names this person.")
        return
    table = Table("place", box=SIMPLE_HEAD)
    for column in ("found", *(("left",) if left is not None else ())):
        table.add_column(column, justify="right")
    for place in {**found, **(left or {})}:
        counts = [found.get(place, 0), *([left.get(place, 0)] if left is not None else [])]
        table.add_row(place, *map("{:,}".format, counts))
    console.print(table)
    for line in _sentences(told):
        console.print(line, markup=False, soft_wrap=True)


def _sentences(told: dict[str, Any]) -> list[str]:
    lines = []
    if letters := told.get("open_letters"):
        lines.append(f"{len(letters):,} dead letters are open: redrive or dismiss them first.")
    if told["replayable_from"]:
        lines.append(
            f"{told['neighbours_cut']:,} records of others lie before theirs and go too; they "
            "are in bronze. What was received before "
            f"{told['replayable_from']} can't all be replayed from Kafka any more: no backup from "
            "before the erasure can be made whole."
        )
    if "ledger" in told:
        lines.append(f"Bronze, lake and facts: {told['ledger']}.")
    if told.get("left"):
        lines.append(
            "Not erased yet: something about this person has come since, or is at work still. "
            "Delete the customer at the provider first, then call again."
        )
    elif "left" in told:
        lines.append(f"Erased; 0 left. It is erasure {told['erasure']} in the table erasures.")
    if "backup_from" in told:
        lines.append(
            "Now take a backup (`payments backup FILE`) and delete all older ones: they hold the "
            "person still."
        )
    return lines
