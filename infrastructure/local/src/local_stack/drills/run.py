"""`payments drill`: hold drills one after another on one stack, and keep what they found."""

import json
import logging
import random
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from local_stack import files, isolated, stack
from local_stack.drills import report
from local_stack.drills.findings import Findings, SkippedError
from local_stack.drills.ground import Drill, Ground
from local_stack.drills.registry import drills
from local_stack.report import console as reader
from payment_pipeline.settings import Settings

SEED_MAX: Final = 2**31
LINES_OF_TRACE: Final = 12
ENDED: Final = 143
"""The exit code after SIGTERM."""


@dataclass
class Result:
    """A drill that was held, or was skipped."""

    name: str
    drill: Drill
    seed: int
    rounds: int
    seconds: float = 0.0
    skipped: str = ""
    """Why it could not be held here."""
    findings: Findings = field(default_factory=Findings)

    @property
    def ok(self) -> bool:
        """It found nothing wrong, or there was nothing to find."""
        return bool(self.skipped) or self.findings.ok

    def as_json(self) -> dict[str, Any]:
        """As `var/drills.json` has it."""
        return {
            "name": self.name,
            "number": self.drill.number,
            "seed": self.seed,
            "rounds": self.rounds,
            "seconds": round(self.seconds, 1),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            **self.findings.as_json(),
            "skipped": self.skipped or None,
            "ok": self.ok,
        }


def run(user: Settings, wanted: tuple[str, ...], seed: int | None, rounds: int | None) -> int:
    """Hold the drills of these names, or all, under the reader's eyes; 1 if any failed.

    Each is held for so many rounds, or at its full size when that is None.

    Raises:
        UserError: a name is no drill's.
    """
    console = reader()
    chosen = drills(wanted)
    seed = random.randrange(SEED_MAX) if seed is None else seed  # noqa: S311 - it is printed
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
            result = hold(settings, name, drill, seed, rounds or drill.full_rounds, console)
            report.show(result, console)
            keep(files.var(user) / "drills.json", result)
            if not result.ok:
                _keep_logs(settings, files.var(user) / "log" / f"drill-{name}", console)
            results.append(result)
    console.rule()
    report.show_table(results, console)
    return 0 if all(result.ok for result in results) else 1


def hold(
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
        stack.up(settings, only=drill.needs)
        began = time.monotonic()
        dice = random.Random(f"{seed}/{name}")  # noqa: S311 - it shall repeat
        result.findings = drill.run(Ground(settings, seed, rounds, folder, say, dice))
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


def keep(path: Path, result: Result) -> None:
    """Append a result to the file's list."""
    with files.exclusive(path.with_suffix(".lock")):
        kept = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*kept, result.as_json()], indent=1) + "\n")


def _keep_logs(settings: Settings, to: Path, console: Console) -> None:
    """The stack and its logs are gone at the end: what failed is to be understood."""
    shutil.copytree(files.var(settings) / "log", to, dirs_exist_ok=True)
    console.print(f"the stack's logs are in {to}", style="dim")
