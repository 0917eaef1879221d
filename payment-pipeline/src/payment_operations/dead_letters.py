"""The work of the `payments dlq` commands: connect, act, print, exit code."""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, TypeVar

from payment_pipeline.adapters import kafka
from payment_pipeline.bronze.contract import Resolution
from payment_pipeline.dlq import dead_letter_clients, dead_letter_store, unquarantined
from payment_pipeline.dlq import redrive as redriving
from payment_pipeline.dlq.dead_letter_selection import Selection
from payment_pipeline.dlq.dead_letter_store import Closer, Group
from payment_pipeline.dlq.redrive import Redrive, Request, Result
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from . import dead_letter_text
from .operator_actions import IDS_MAX
from .terminal import Screen

BY_CHARACTERS_MAX: Final = 100
NOTE_CHARACTERS_MAX: Final = 500

Answer = TypeVar("Answer")


def show_list(settings: Settings, selection: Selection, *, closed: bool, as_json: bool) -> int:
    """Print the dead letters in groups.

    Raises:
        UserError: PostgreSQL does not answer.
    """

    async def ask() -> tuple[list[Group], list[Group] | None]:
        async with dead_letter_clients.quarantine(settings) as pool:
            # The topics first: a dead letter that moves meanwhile is shown twice, not left out.
            try:
                waiting = await unquarantined.groups(settings, pool, selection)
            except UserError:  # the quarantine alone is still useful
                waiting = None
            return await dead_letter_store.groups(pool, selection, closed=closed), waiting

    groups, waiting = _run(ask())
    if as_json:
        Screen().json(dead_letter_text.groups_as_json(groups, waiting))
    else:
        dead_letter_text.show_groups(groups, waiting, Screen())
    return 0


def show(
    settings: Settings, wanted: str, *, body: bool, body_to: Path | None, as_json: bool
) -> int:
    """Print a dead letter, or those of an event; the signed bytes only on request.

    Raises:
        UserError: there is no such dead letter, or the file for its bytes can't be created.
    """
    with_body = body or body_to is not None
    unsearched = ""

    async def ask() -> Sequence[Mapping[str, Any]]:
        nonlocal unsearched
        async with dead_letter_clients.quarantine(settings) as pool:
            found: list[Mapping[str, Any]] = []
            if dead_letter_store.number_of(wanted) is None:  # only the quarantine gives numbers
                try:
                    found += await unquarantined.show(settings, pool, wanted, body=with_body)
                except UserError as refusal:
                    unsearched = f" The topics could not be searched: {refusal}"
            return [*await dead_letter_store.show(pool, wanted, body=with_body), *found]

    letters = _run(ask())
    if not letters:
        raise UserError(
            f"There is no dead letter {wanted}. `payments dlq list` shows ids.{unsearched}", 1
        )
    if body_to is not None:
        _write(body_to, letters)
    shown = letters if body else [{**letter, "body": None} for letter in letters]
    if as_json:
        Screen().json(dead_letter_text.letters_as_json(shown))
    else:
        for letter in shown:
            dead_letter_text.show_letter(letter, Screen())
    return 0


def redrive(
    settings: Settings,
    selection: Selection,
    request: Request,
    detail: dict[str, Any],
    *,
    as_json: bool,
) -> int:
    """Redrive dead letters, print the outcome of each, and return the exit code.

    The counts and the ids of the dead letters go into `detail`, for the record of the action.

    Raises:
        UserError: a store does not answer, or another redrive or an erasure is running.
    """
    dry_run = request.dry_run

    async def do() -> tuple[list[Result], int]:
        async with (
            dead_letter_clients.quarantine(settings) as pool,
            nullcontext() if dry_run else dead_letter_clients.alone(pool),
        ):
            if dry_run:
                groups = await unquarantined.groups(settings, pool, selection)
                waiting = sum(group.letters for group in groups)
            else:
                waiting = await unquarantined.bring(settings, pool)
            ids = await dead_letter_store.select(pool, selection)
            async with dead_letter_clients.redrive_stores(settings, pool) as stores:
                with _progress(len(ids)) as progress:
                    return await Redrive(stores, request, progress).run(ids), waiting

    results, waiting = _run(do())
    outcomes = Counter(result.outcome.value for result in results)
    detail |= _named([result.letter_id for result in results]) | {"outcomes": dict(outcomes)}
    if as_json:
        Screen().json(dead_letter_text.results_as_json(results, waiting, dry_run=dry_run))
    else:
        dead_letter_text.show_results(results, waiting, Screen(), dry_run=dry_run)
    return 0 if dry_run or redriving.all_settled(results) else 1


def dismiss(
    settings: Settings,
    selection: Selection,
    closer: Closer,
    detail: dict[str, Any],
    *,
    dry_run: bool,
) -> int:
    """Close dead letters that will never become events; print how many.

    The ids of the dead letters go into `detail`.

    Raises:
        UserError: PostgreSQL does not answer.
    """

    async def do() -> tuple[int, int]:
        async with dead_letter_clients.quarantine(settings) as pool:
            ids = await dead_letter_store.select(pool, selection)
            detail.update(_named(ids))
            if dry_run:
                return len(ids), 0
            return len(ids), await dead_letter_store.close(pool, ids, Resolution.DISMISSED, closer)

    selected, dismissed = _run(do())
    Screen().line(
        f"Dead letters that would be dismissed: {selected:,}."
        if dry_run
        else f"Dead letters dismissed: {dismissed:,}."
    )
    return 0


def reopen(settings: Settings, selection: Selection, detail: dict[str, Any]) -> int:
    """Open dismissed dead letters again; print how many.

    The ids of the dead letters go into `detail`.

    Raises:
        UserError: PostgreSQL does not answer.
    """

    async def do() -> int:
        async with dead_letter_clients.quarantine(settings) as pool:
            ids = await dead_letter_store.select(pool, selection, Resolution.DISMISSED)
            detail.update(_named(ids))
            return await dead_letter_store.reopen(pool, ids)

    Screen().line(f"Dead letters opened again: {_run(do()):,}.")
    return 0


def closer(by: str, note: str) -> Closer:
    """The name and the reason that are stored with a closed dead letter.

    Raises:
        UserError: no name was given, or the name or the reason is too long.
    """
    if not by.strip():
        raise UserError("Give your name with --by NAME. It is stored with each dead letter.")
    if len(by) > BY_CHARACTERS_MAX or len(note) > NOTE_CHARACTERS_MAX:
        raise UserError(
            f"--by takes at most {BY_CHARACTERS_MAX} characters, --note at most "
            f"{NOTE_CHARACTERS_MAX}. Shorten them."
        )
    return Closer(by, note or None)


def _named(ids: Sequence[int]) -> dict[str, Any]:
    return {"letters": len(ids), "ids": list(ids[:IDS_MAX])}


def _run(work: Coroutine[None, None, Answer]) -> Answer:
    kafka.quiet()
    return asyncio.run(work)


def _write(path: Path, letters: Sequence[Mapping[str, Any]]) -> None:
    """Write the signed bytes of one dead letter to a new file that only its owner can read.

    Raises:
        UserError: there are several dead letters with different bytes, or the file can't be
            created or exists.
    """
    if len({letter["body_sha256"] for letter in letters}) > 1:
        ids = ", ".join(str(letter["id"]) for letter in letters)
        raise UserError(f"This event has several dead letters. Ask for one of them: {ids}.")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as refusal:
        raise UserError(
            f"The file {path} can't be created: {refusal.strerror}. Give another name."
        ) from None
    with os.fdopen(handle, "wb") as file:
        file.write(letters[0]["body"])


@contextmanager
def _progress(total: int) -> Iterator[redriving.Progress]:
    """A progress bar on standard error; only on a terminal."""
    with Screen(stderr=True).bar(total) as show:
        yield lambda answered, waiting: show(answered, f"{waiting:,} in progress")
