"""How does a line of the `payments dlq` command become an answer on the terminal?"""

import asyncio
import os
import sys
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from payment_pipeline.adapters import kafka
from payment_pipeline.bronze.contract import Resolution
from payment_pipeline.dlq import desk, on_topics, store
from payment_pipeline.dlq import redrive as redriving
from payment_pipeline.dlq.redrive import Redrive, Request, Result
from payment_pipeline.dlq.selection import Selection
from payment_pipeline.dlq.store import Closer, Group
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from . import dead_letter_text

BY_CHARACTERS_MAX: Final = 100
NOTE_CHARACTERS_MAX: Final = 500

Answer = TypeVar("Answer")


def show_list(settings: Settings, selection: Selection, *, closed: bool, as_json: bool) -> int:
    """Print the letters in groups.

    Raises:
        UserError: PostgreSQL does not answer.
    """

    async def ask() -> tuple[list[Group], list[Group] | None]:
        async with desk.quarantine(settings) as pool:
            # First: what is brought meanwhile is better seen twice than not at all.
            try:
                waiting = await on_topics.groups(settings, pool, selection)
            except UserError:  # at 3 a.m. half an answer is better than none
                waiting = None
            return await store.groups(pool, selection, closed=closed), waiting

    groups, waiting = _run(ask())
    if as_json:
        sys.stdout.write(dead_letter_text.groups_as_json(groups, waiting) + "\n")
    else:
        dead_letter_text.show_groups(groups, waiting, Console(highlight=False))
    return 0


def show(
    settings: Settings, wanted: str, *, body: bool, body_to: Path | None, as_json: bool
) -> int:
    """Print a letter, or an event's letters; the signed bytes only on request.

    Raises:
        UserError: there is none, or the file for its bytes can't be made.
    """
    with_body = body or body_to is not None
    unseen = ""

    async def ask() -> Sequence[Mapping[str, Any]]:
        nonlocal unseen
        async with desk.quarantine(settings) as pool:
            found: list[Mapping[str, Any]] = []
            if store.number_of(wanted) is None:  # a number is the quarantine's to give
                try:
                    found += await on_topics.show(settings, pool, wanted, body=with_body)
                except UserError as refusal:
                    unseen = f" And the topics can't be looked at: {refusal}"
            return [*await store.show(pool, wanted, body=with_body), *found]

    letters = _run(ask())
    if not letters:
        said = f"No dead letter is called {wanted}: `payments dlq list` names some.{unseen}"
        raise UserError(said, 1)
    if body_to is not None:
        _write(body_to, letters)
    shown = letters if body else [{**letter, "body": None} for letter in letters]
    if as_json:
        sys.stdout.write(dead_letter_text.letters_as_json(shown) + "\n")
    else:
        for letter in shown:
            dead_letter_text.show_letter(letter, Console(highlight=False))
    return 0


def redrive(settings: Settings, selection: Selection, request: Request, *, as_json: bool) -> int:
    """Send letters on their way again, print what became of each, and return the exit code.

    Raises:
        UserError: a store does not answer, or somebody else is at it.
    """
    dry_run = request.dry_run

    async def do() -> tuple[list[Result], int]:
        async with (
            desk.quarantine(settings) as pool,
            nullcontext() if dry_run else desk.alone(pool),
        ):
            if dry_run:
                groups = await on_topics.groups(settings, pool, selection)
                waiting = sum(group.letters for group in groups)
            else:
                waiting = await on_topics.bring(settings, pool)
            ids = await store.select(pool, selection)
            async with desk.redrive_stores(settings, pool) as stores:
                with _progress(len(ids)) as progress:
                    return await Redrive(stores, request, progress).run(ids), waiting

    results, waiting = _run(do())
    if as_json:
        sys.stdout.write(dead_letter_text.results_as_json(results, waiting, dry_run=dry_run) + "\n")
    else:
        console = Console(highlight=False)
        dead_letter_text.show_results(results, waiting, console, dry_run=dry_run)
    return 0 if dry_run or redriving.all_settled(results) else 1


def dismiss(settings: Settings, selection: Selection, closer: Closer, *, dry_run: bool) -> int:
    """Close letters that will never be an event; say how many.

    Raises:
        UserError: PostgreSQL does not answer.
    """

    async def do() -> tuple[int, int]:
        async with desk.quarantine(settings) as pool:
            ids = await store.select(pool, selection)
            if dry_run:
                return len(ids), 0
            return len(ids), await store.close(pool, ids, Resolution.DISMISSED, closer)

    meant, dismissed = _run(do())
    said = f"{meant:,} letters would be dismissed." if dry_run else f"{dismissed:,} dismissed."
    Console(highlight=False).print(said)
    return 0


def reopen(settings: Settings, selection: Selection) -> int:
    """Take dismissals back; say how many.

    Raises:
        UserError: PostgreSQL does not answer.
    """

    async def do() -> int:
        async with desk.quarantine(settings) as pool:
            return await store.reopen(
                pool, await store.select(pool, selection, Resolution.DISMISSED)
            )

    Console(highlight=False).print(f"{_run(do()):,} open again.")
    return 0


def closer(by: str, note: str) -> Closer:
    """Who closes letters, and why.

    Raises:
        UserError: nobody was named, or what was said is too long to keep.
    """
    if not by.strip():
        raise UserError("Say who you are: --by NAME; it is kept with each letter.")
    if len(by) > BY_CHARACTERS_MAX or len(note) > NOTE_CHARACTERS_MAX:
        raise UserError(f"--by takes {BY_CHARACTERS_MAX} characters, --note {NOTE_CHARACTERS_MAX}.")
    return Closer(by, note or None)


def _run(work: Coroutine[None, None, Answer]) -> Answer:
    kafka.quiet()
    return asyncio.run(work)


def _write(path: Path, letters: Sequence[Mapping[str, Any]]) -> None:
    """The signed bytes of one letter, byte for byte, for their owner's eyes only.

    Raises:
        UserError: there are several letters of other bytes, or the file can't be made anew.
    """
    if len({letter["body_sha256"] for letter in letters}) > 1:
        ids = ", ".join(str(letter["id"]) for letter in letters)
        raise UserError(f"It has several letters: ask for one of {ids}.")
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as refusal:
        raise UserError(f"{path} can't be made: {refusal.strerror}.") from None
    with os.fdopen(made, "wb") as file:
        file.write(letters[0]["body"])


@contextmanager
def _progress(total: int) -> Iterator[redriving.Progress]:
    """A bar on standard error, which a pipe or a log doesn't get."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def tell(answered: int, waiting: int) -> None:
            bar.update(task, completed=answered, description=f"{waiting:,} under way")

        yield tell
