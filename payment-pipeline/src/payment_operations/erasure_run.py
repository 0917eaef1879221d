"""The erasure of a person from the command line: search, confirm, erase, prove."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from temporalio.service import RPCError

from payment_pipeline.adapters import kafka, postgres, temporal
from payment_pipeline.domain.failures import UserError
from payment_pipeline.erasure import erasure_journal
from payment_pipeline.erasure.erasure_steps import Lakehouse, Stores, forget, refuse_open, search
from payment_pipeline.erasure.person import Person, checked
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.ledger_verdict import ledger_verdict
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings

from . import erasure_text
from .terminal import Screen

BRONZE: Final = "bronze"
FACTS: Final = "facts"
THROUGH: Final = (BRONZE, FACTS)


@dataclass(frozen=True)
class Request:
    """Which person to erase, and how."""

    provider: str
    customer_id: str
    through: str = FACTS
    dry_run: bool = False
    confirmed: bool = False
    as_json: bool = False


def main(
    settings: Settings,
    request: Request,
    lakehouse: Lakehouse | None,
    detail: dict[str, Any],
) -> int:
    """Search, ask for confirmation, erase and prove; return the exit code: 1 if something is left.

    Args:
        settings: of the stack.
        request: the person, and how far to erase.
        lakehouse: the tables behind bronze; `None` where there are none.
        detail: gets the number of the erasure, for the record of the action. Never the person.

    Raises:
        UserError: the call is wrong, a store does not answer, or another erasure is running.
    """
    if request.provider not in providers():
        raise UserError(
            f"There is no provider {request.provider}. Use one of: {', '.join(providers())}."
        )
    if request.through not in THROUGH:
        raise UserError(f"--through {request.through}: use one of {', '.join(THROUGH)}.")
    key = settings.secret("pseudonym_key").encode()
    person = Person(request.provider, checked(request.customer_id), key)
    kafka.quiet()
    try:
        return asyncio.run(_run(settings, request, person, lakehouse, detail))
    except RPCError as error:
        raise UserError(
            f"Temporal stopped answering ({error.status.name}). Check `payments status`, then call "
            "the same command again.",
            1,
        ) from None
    except TimeoutError:
        raise UserError(
            "Temporal has not deleted every workflow yet. Call the same command again.", 1
        ) from None


async def _run(
    settings: Settings,
    request: Request,
    person: Person,
    lakehouse: Lakehouse | None,
    detail: dict[str, Any],
) -> int:
    screen = Screen(stderr=True)
    async with opened(settings, lakehouse, dry_run=request.dry_run) as stores:
        with screen.status("searching") as status:
            found = await search(stores, person, status)
        if request.dry_run or not found.counts():
            erasure_text.show(erasure_text.search_as_json(found), Screen(), as_json=request.as_json)
            return 0
        refuse_open(found.open_letters)
        if not request.confirmed:
            erasure_text.show(erasure_text.search_as_json(found), Screen(), as_json=request.as_json)
            if not screen.confirm("Erase this person everywhere, for good?"):
                return 1
        with screen.status("erasing") as status:
            proof = await forget(stores, found, status)
    answer = erasure_text.proof_as_json(proof)
    detail["erasure"] = proof.number
    if lakehouse:
        verdict = await asyncio.to_thread(ledger_verdict, settings, _of_all_time())
        answer |= {"ok": answer["ok"] and verdict.ok, "ledger": verdict.sentence}
    erasure_text.show(answer, Screen(), as_json=request.as_json)
    return 0 if answer["ok"] else 1


@asynccontextmanager
async def opened(
    settings: Settings, lakehouse: Lakehouse | None, *, dry_run: bool = False
) -> AsyncIterator[Stores]:
    """Connect to every store, and lock out other erasures.

    Unless it is a dry run, replays and redrives are locked out too.

    Raises:
        UserError: a store does not answer, or another erasure, replay or redrive is running.
    """
    client = await temporal.connect(settings)
    pool = await postgres.pool(settings, application="payments-forget")
    try:
        async with (
            erasure_journal.alone(pool) as connection,
            nullcontext() if dry_run else erasure_journal.no_rewriting(pool),
        ):
            # A search reads whole tables, and a person may have many rows.
            await connection.execute("SET statement_timeout = 0")
            yield Stores(settings, connection, client, lakehouse)
    finally:
        await pool.close()


def _of_all_time() -> Window:
    return Window(None, datetime.now(UTC))
