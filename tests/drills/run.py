"""Runs drills one after another on one stack, and keeps their results: `make chaos`.

`PYTHONPATH=tests python -m drills.run [NAME]... [--seed S] [--rounds N | --full]`
"""

import json
import logging
import random
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from drills import result_table
from drills.drill import Drill, DrillContext
from drills.findings import SkippedError
from drills.registry import drills
from drills.result import Result
from local_stack import files
from payment_operations import stack_start
from payment_operations.stack_text import console as reader
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, load
from support import isolated

SEED_MAX: Final = 2**31
LINES_OF_TRACE: Final = 12
ENDED: Final = 143
"""The exit code after SIGTERM."""


def run(user: Settings, wanted: tuple[str, ...], seed: int | None, rounds: int | None) -> int:
    """Hold the drills of these names, or all, under the reader's eyes; 1 if any failed.

    Each is held for so many rounds, or at its full size when that is None.

    Raises:
        UserError: a name is no drill's.
    """
    console = reader()
    chosen = drills(wanted)
    seed = random.randrange(SEED_MAX) if seed is None else seed
    results = []
    # A client's own log lines say again, and worse, what the drill counts.
    logging.disable(logging.CRITICAL)
    # Told to end, it ends its stack first, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED))
    # Neither programs nor models hold anybody's data, and both take long to make.
    with isolated.temporary(files.var(user) / "models", cache=user.cache) as settings:
        for name, drill in chosen.items():
            console.rule(f"{drill.number} {name}, seed {seed}")
            console.print(drill.promise, style="dim")
            result = run_drill(settings, name, drill, seed, rounds or drill.full_rounds, console)
            result_table.show(result, console)
            append_result(files.var(user) / "drills.json", result)
            if not result.ok:
                _keep_logs(settings, files.var(user) / "log" / f"drill-{name}", console)
            results.append(result)
    console.rule()
    result_table.show_all(results, console)
    return 0 if all(result.ok for result in results) else 1


def run_drill(
    settings: Settings, name: str, drill: Drill, seed: int, rounds: int, console: Console
) -> Result:
    """Hold one drill on a stack that is brought up as far as it needs, and mended if need be."""
    result = Result(name, drill, seed, rounds)
    folder = files.var(settings) / "drills" / name
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - began:7.1f} s  {text}", soft_wrap=True, markup=False)

    try:
        stack_start.up(settings, only=drill.needs)
        began = time.monotonic()
        rng = random.Random(f"{seed}/{name}")
        result.findings = drill.run(DrillContext(settings, seed, rounds, folder, say, rng))
    except SkippedError as why:
        result.skipped = str(why)
    except Exception as broken:  # noqa: BLE001 - a drill that breaks has failed; the next goes on
        cause = _first(broken)
        for line in traceback.format_exception(cause)[-LINES_OF_TRACE:]:
            console.print(line, markup=False, style="dim", end="")
        result.findings.require(False, f"it broke: {type(cause).__name__}: {cause}")
        result.findings.broke = True
    result.seconds = time.monotonic() - began
    return result


def _first(broken: Exception) -> BaseException:
    """Of what several tasks raised at once, the first: the others most often follow from it."""
    cause: BaseException = broken
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause


def append_result(path: Path, result: Result) -> None:
    """Append a result to the file's list."""
    with files.exclusive(path.with_suffix(".lock")):
        kept = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*kept, result.as_json()], indent=1) + "\n")


def _keep_logs(settings: Settings, to: Path, console: Console) -> None:
    """The stack and its logs are gone at the end: what failed is to be understood."""
    shutil.copytree(files.var(settings) / "log", to, dirs_exist_ok=True)
    console.print(f"the stack's logs are in {to}", style="dim")


def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="All drills if none is named.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Repeats the choices of a run. Default: random.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Size of each drill. Default: 1, up to two minutes.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Each drill at its published size: about an hour.")
    ] = False,
) -> None:
    """Kill, starve, flood and forge on real processes. Exit code 1 if a promise does not hold.

    The drills run on a stack of their own in a temporary folder, never on your data. Each drill has
    a control: the same check with the protection removed, which must fail. The results are appended
    to `<var>/drills.json`. `docs/reliability.md` describes each drill.
    """
    if full and rounds:
        raise UserError("Give either --full or --rounds: --full sets the rounds of each drill.")
    sys.exit(run(load(), tuple(names or ()), seed, None if full else rounds or 1))


if __name__ == "__main__":
    try:
        typer.run(main)
    except UserError as mistake:
        typer.echo(f"drills: {mistake}", err=True)
        sys.exit(mistake.exit_code)
