"""The operators' actions on the terminal: a list, and whether their chain is whole."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from payment_pipeline.domain.action_chain import Action, Head, faults
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from . import operator_actions
from .terminal import Grid, Screen, fixed_column, number_column, table, text_column

_HEAD: Final = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


def show_list(settings: Settings, limit: int, *, as_json: bool) -> None:
    """Print the newest actions, the last one at the end.

    Raises:
        UserError: PostgreSQL does not answer.
    """
    newest = operator_actions.chain(settings)[-limit:]
    screen = Screen()
    if as_json:
        screen.json([_as_json(action) for action in newest])
    elif not newest:
        screen.line("No action is recorded.")
    else:
        screen.grid(listed(newest))


def listed(actions: Sequence[Action]) -> Grid:
    """Two lines for each action: the command with its detail, and who called it."""
    shown = table(
        number_column("number"), fixed_column("time, UTC"), text_column("action, operator, detail")
    )
    for each in actions:
        begin = f" (action {each.begun_number})" if each.begun_number else ""
        lines = [f"{each.action}: {each.stage}{begin}", _who(each)]
        lines += [json.dumps(each.detail, sort_keys=True)] if each.detail else []
        shown.row(str(each.number), f"{each.acted_at:%Y-%m-%d %H:%M:%S}", lines)
    return shown


def verify(settings: Settings, noted: str | None, *, as_json: bool) -> int:
    """Check the chain and print the result; return 0 if the chain is whole, else 1.

    Raises:
        UserError: PostgreSQL does not answer, or the noted head can't be read (exit code 2).
    """
    head = parsed(noted) if noted else None
    actions = operator_actions.chain(settings)
    found = faults(actions, head)
    last = Head(actions[-1].number, actions[-1].hash) if actions else None
    screen = Screen()
    if as_json:
        screen.json(
            {
                "ok": not found,
                "actions": len(actions),
                "head": str(last) if last else None,
                "faults": found,
            }
        )
    else:
        show_verdict(screen, found, last)
    return 1 if found else 0


def show_verdict(screen: Screen, found: Sequence[str], last: Head | None) -> None:
    """Print each fault, or the head of a whole chain."""
    for fault in found:
        screen.line(fault, style="red")
    if found:
        screen.line("The chain of the operators' actions is broken.", style="red")
    elif last:
        screen.line(f"The chain of {last.number:,} actions is whole.", style="green")
        screen.line(f"Note this head outside of the database: {last}")
        screen.line("Later, `payments actions verify --head HEAD` finds a chain that was cut off.")
    else:
        screen.line("No action is recorded.")


def parsed(noted: str) -> Head:
    """Read a head as `verify` prints it.

    Raises:
        UserError: it has another form.
    """
    match = _HEAD.fullmatch(noted.strip())
    if match is None:
        raise UserError(
            f"--head {noted}: give the head as `payments actions verify` prints it: NUMBER:HASH."
        )
    return Head(int(match[1]), match[2])


def _who(action: Action) -> str:
    sudo = f", sudo by {action.sudo_user}" if action.sudo_user else ""
    claim = f", as {action.claimed_by}" if action.claimed_by else ""
    return f"{action.os_user} ({action.os_uid}{sudo}) on {action.host}{claim}"


def _as_json(action: Action) -> dict[str, Any]:
    return {**action._asdict(), "acted_at": action.acted_at.isoformat()}
