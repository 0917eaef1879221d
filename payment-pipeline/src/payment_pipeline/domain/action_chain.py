"""The hash chain of the operators' actions.

Each action holds the hash of the action before it, and a hash over all of its own values. So no
action can be changed, deleted or moved without a break in the chain. A chain whose end was cut off,
or that was computed again, has no break. Only a head that was noted outside shows that.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

FIRST_HASH: Final = "0" * 64
"""The previous hash of the first action."""


class Action(NamedTuple):
    """One row of the table `operator_actions`."""

    number: int
    """1, 2, 3, … without a gap."""
    acted_at: datetime
    action: str
    """The command, e.g. `review approve`."""
    stage: str
    """`begun`, `ended` or `failed`."""
    begun_number: int | None
    """The number of the action's begin, for its end."""
    claimed_by: str | None
    """The name that the operator gave, e.g. with `--by`."""
    os_user: str
    os_uid: int
    sudo_user: str | None
    host: str
    detail: Mapping[str, Any]
    """Ids, counts and the exit code."""
    previous_hash: str
    hash: str


class Head(NamedTuple):
    """The last action of a chain, as an operator noted it outside of the database."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


def sealed(action: Action, previous: Head | None) -> Action:
    """Returns an action as the next one of a chain that ends with `previous`."""
    linked = action._replace(
        number=previous.number + 1 if previous else 1,
        previous_hash=previous.hash if previous else FIRST_HASH,
    )
    return linked._replace(hash=hash_of(linked))


def hash_of(action: Action) -> str:
    """Returns the SHA-256 over all values but the hash, as JSON with sorted keys, in hex."""
    values = action._asdict()
    del values["hash"]
    values["acted_at"] = action.acted_at.astimezone(UTC).isoformat(timespec="microseconds")
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def faults(actions: Iterable[Action], noted: Head | None = None) -> list[str]:
    """Checks a chain, and returns a sentence for each fault; none if the chain is whole.

    Args:
        actions: all actions of the table, by number.
        noted: a head that was noted earlier. The chain must still contain it.
    """
    found: list[str] = []
    last = Head(0, FIRST_HASH)
    hash_noted = None
    for action in actions:
        if action.number > last.number + 1:
            found.append(f"{_numbers(last.number + 1, action.number - 1)} deleted.")
        elif action.number <= last.number:
            found.append(f"Action {action.number} is there twice.")
        if action.hash != hash_of(action):
            found.append(f"Action {action.number} was changed.")
        elif action.number == last.number + 1 and action.previous_hash != last.hash:
            found.append(f"Action {action.number} does not follow action {last.number}.")
        last = Head(action.number, action.hash)
        if noted and action.number == noted.number:
            hash_noted = action.hash
    if noted and hash_noted is None and noted.number > last.number:
        found.append(f"{_numbers(last.number + 1, noted.number)} deleted from the end.")
    elif noted and hash_noted != noted.hash:
        found.append(f"Action {noted.number} is another one than the noted head.")
    return found


def _numbers(first: int, last: int) -> str:
    return f"Action {first} was" if first == last else f"Actions {first} to {last} were"
