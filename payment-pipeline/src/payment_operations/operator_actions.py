"""Records who did what: the commands of operators that change data, as a hash chain in PostgreSQL.

A command is recorded before it acts, and again at its end. A command that can't be recorded does
not act. The rows hold the operating-system user of the process beside the name that the operator
claims. They never hold a customer's id, because an erasure can't change them.

The role `payments_actions` may only add and read rows. Somebody with the rights of the owner could
still compute the whole chain again, so note the head outside from time to time.
"""

import os
import platform
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from payment_pipeline.adapters.postgres import unreachable
from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.action_chain import Action, Head, sealed
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .terminal import Screen

LOCK_KEY: Final = 0x616374696F6E73
"""The number of the advisory lock: the ASCII codes of "actions"."""
CONNECT_TIMEOUT_S: Final = 10
IDS_MAX: Final = 1000
"""The maximum number of ids in the detail of one action."""
CLAIM_CHARACTERS_MAX: Final = 100

_SQL: Final = queries(__package__, "operator_actions.sql")


class Operator(NamedTuple):
    """The operating-system user of this process."""

    os_user: str
    os_uid: int
    sudo_user: str | None
    host: str


class Recording:
    """What a command adds to the record of its end."""

    def __init__(self) -> None:
        self.detail: dict[str, Any] = {}
        """Ids, counts and the exit code. Whole numbers and texts, never a customer's id."""


def operator() -> Operator:
    """Return the user of the process. The kernel says the number; no variable can change it.

    The user who called sudo is only noted: `SUDO_USER` is a variable.
    """
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run as a number without a name
        name = f"uid {uid}"
    return Operator(name, uid, _storable(os.environ.get("SUDO_USER")), platform.node())


@contextmanager
def recorded(
    settings: Settings,
    action: str,
    by: str | None = None,
    *,
    really: bool = True,
    required: bool = True,
) -> Iterator[Recording]:
    """Record a command before it acts and at its end.

    Args:
        settings: of the stack.
        action: the command, e.g. `review approve`.
        by: the name that the operator claims.
        really: false for a dry run, which is not recorded.
        required: false for a command that must also work while PostgreSQL is down. It then says
            that it is not recorded.

    Raises:
        UserError: the command can't be recorded, and it did nothing; or it acted, and its end
            can't be recorded.
    """
    recording = Recording()
    begun = None
    if really:
        try:
            begun = append(settings, action, "begun", by=by)
        except UserError as refusal:
            if required:
                raise
            Screen(stderr=True).line(f"This command is not recorded: {refusal.message}")
    if begun is None:
        yield recording
        return
    try:
        yield recording
    except BaseException as error:
        detail = {**recording.detail, "error": type(error).__name__}
        _end(settings, action, "failed", detail, by, begun, required=False)
        raise
    _end(settings, action, "ended", recording.detail, by, begun, required=required)


def _end(
    settings: Settings,
    action: str,
    stage: str,
    detail: dict[str, Any],
    by: str | None,
    begun: int,
    *,
    required: bool,
) -> None:
    """Record the end of a command; if it is not required, say that it is not recorded."""
    try:
        append(settings, action, stage, detail, by=by, begun=begun)
    except UserError as refusal:
        Screen(stderr=True).line(f"The end of this command is not recorded: {refusal.message}")
        if required:
            raise


def append(
    settings: Settings,
    action: str,
    stage: str,
    detail: dict[str, Any] | None = None,
    *,
    by: str | None = None,
    begun: int | None = None,
) -> int:
    """Add an action to the chain; return its number.

    Raises:
        UserError: PostgreSQL does not answer or refuses the row, or its schema is older.
    """
    with _connected(settings) as connection, connection.transaction():
        connection.execute(_SQL["lock"], [LOCK_KEY])
        row = connection.execute(_SQL["head"]).fetchone()
        (now,) = connection.execute(_SQL["now"]).fetchone() or (datetime.now(UTC),)
        new = Action(0, now, action, stage, begun, _storable(by), *operator(), detail or {}, "", "")
        new = sealed(new, Head(*row) if row else None)
        connection.execute(_SQL["append"], {**new._asdict(), "detail": Jsonb(new.detail)})
    return new.number


def chain(settings: Settings) -> list[Action]:
    """Return all actions, in order.

    Raises:
        UserError: PostgreSQL does not answer, or its schema is older.
    """
    with _connected(settings) as connection:
        return [Action(*row) for row in connection.execute(_SQL["actions"]).fetchall()]


@contextmanager
def _connected(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    dsn = settings.dsn_as("actions")
    try:
        with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            yield connection
    except psycopg.errors.UndefinedTable:
        raise UserError(
            "The database schema is older than this code. Run `payments migrate`."
        ) from None
    except psycopg.OperationalError as refusal:
        raise unreachable(dsn, type(refusal).__name__) from None
    except psycopg.Error as refusal:
        said = refusal.diag.message_primary or type(refusal).__name__
        raise UserError(f"PostgreSQL refused to record or read the actions: {said}.") from None


def _storable(text: str | None) -> str | None:
    """The text as PostgreSQL can store it; `None` for an empty one."""
    if not text:
        return None
    kept = text.replace("\0", "\\0")[:CLAIM_CHARACTERS_MAX]
    return kept.encode("utf-8", "backslashreplace").decode()
