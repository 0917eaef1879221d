"""Streams the rows of the lake and the facts from Trino, with their watermarks.

The facts are read before the lake, and the lake before bronze: a row of a later stage was in the
earlier one before. The watermark of a stage is read before its rows. A row at or below it must be
among the rows, or the row is missing. A row above it is for the next load.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from payment_pipeline.adapters.sql import queries
from payment_pipeline.adapters.trino import NoTrinoError, connect
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .audit_window import Window
from .record_reader import money_of
from .stage_tally import EPOCH, UNSTATED, Seen
from .stages import Reading, Stage

if TYPE_CHECKING:
    from trino.dbapi import Connection

ROWS_A_FETCH: Final = 5_000
LOOKUP_EVENTS_MAX: Final = 1_000
SQL: Final = queries("payment_pipeline.ledger", "lake.sql")

EVENTS_TABLE: Final = "payment_events"
QUARANTINE_TABLE: Final = "payment_events_quarantine"
FACTS_TABLE: Final = "fct_payment_events"
XID_PROPERTY: Final = "payments.watermark.ingest-xid"
ID_PROPERTY: Final = "payments.watermark.id"
"""The loader's names, from `orchestration_dagster.lake.watermark`. A test compares them."""

_IN_WINDOW: Final = "received_at >= ? AND received_at < ?"
_OF_IDS: Final = "event_id IN (SELECT * FROM unnest(?))"
_OF_BODIES: Final = "body_sha256 IN (SELECT * FROM unnest(?))"
_BEGINNING: Final = datetime(EPOCH.year, EPOCH.month, EPOCH.day, tzinfo=UTC)


class LoadPosition(NamedTuple):
    """Position of a row in the loader's order."""

    xid: int = 0
    id: int = 0


class LookedUp(NamedTuple):
    """The events that are missing in the window and were found in bronze."""

    ids: list[str]
    """Ids of events."""
    bodies: list[str]
    """Body hashes of dead letters."""


class Schemas(NamedTuple):
    """The schemas that the loader and dbt write to."""

    data: str = "data"
    marts: str = "marts"


SCHEMAS: Final = Schemas()


class Lakehouse:
    """Reads the stages of the lakehouse that exist."""

    def __init__(self, connection: "Connection", schemas: Schemas, wanted: Sequence[Stage]) -> None:
        self._connection = connection
        self._schemas = schemas
        self.stages = tuple(wanted)

    def close(self) -> None:
        """Close the connection to Trino."""
        self._connection.close()  # type: ignore[no-untyped-call]  # trino types only a part

    def reached(self) -> dict[Stage, LoadPosition]:
        """Return the watermark of each stage.

        Raises:
            UserError: Trino does not answer.
        """
        watermarks = {
            Stage.LAKE: lambda: self._watermark(EVENTS_TABLE),
            Stage.LAKE_QUARANTINE: lambda: self._watermark(QUARANTINE_TABLE),
            Stage.FACTS: self._facts_reached,
        }
        with _one_sentence():
            return {stage: watermarks[stage]() for stage in self.stages}

    def read(self, window: Window, reading: Reading) -> dict[Stage, LoadPosition]:
        """Read the rows of a window; return the watermark that each stage had before.

        Raises:
            UserError: Trino fails before the last row.
        """
        span = [(window.since or _BEGINNING).astimezone(UTC), window.until.astimezone(UTC)]
        reached = self.reached()
        with _one_sentence():
            for stage in reversed(self.stages):
                reading.renew(stage)
            for stage in reversed(self.stages):
                for seen, day, pending in self._rows(stage, _IN_WINDOW, span, reached):
                    reading.stages[stage].add(seen, day)
                    if pending:
                        reading.pending[Stage.FACTS].add(seen, day)
        return reached

    def look_up(
        self,
        found: LookedUp,
        reading: Reading,
        reached: Mapping[Stage, LoadPosition],
    ) -> None:
        """Add the rows of events whose rows in bronze lie outside the window.

        Raises:
            UserError: Trino fails before the last row.
        """
        for stage in reversed(self.stages):
            quarantined = stage is Stage.LAKE_QUARANTINE
            wanted, which = (found.bodies, _OF_BODIES) if quarantined else (found.ids, _OF_IDS)
            rows = dict[str, tuple[Seen, int, bool]]()
            with _one_sentence():
                for start in range(0, len(wanted), LOOKUP_EVENTS_MAX):
                    some = [list(wanted[start : start + LOOKUP_EVENTS_MAX])]
                    for row in self._rows(stage, which, some, reached):
                        # A dead letter counts once per body, as in the search of bronze.
                        name = row[0].body_sha256 if quarantined else str(len(rows))
                        rows[name] = row
            for seen, day, pending in rows.values():
                reading.stages[stage].add(seen, day)
                if pending:
                    reading.pending[Stage.FACTS].add(seen, day)

    def _rows(
        self, stage: Stage, which: str, given: list[Any], reached: Mapping[Stage, LoadPosition]
    ) -> Iterator[tuple[Seen, int, bool]]:
        """Yield the rows of a stage, each with its day and whether it is pending for the facts."""
        if stage is Stage.LAKE_QUARANTINE:
            for provider, event_id, body, identity, day in self._ask(stage.value, given, which):
                yield Seen(provider, event_id, body, UNSTATED, identity), day, False
            return
        parameters = given
        if stage is Stage.LAKE:
            xid, row_id = reached.get(Stage.FACTS, LoadPosition())
            parameters = [xid, xid, row_id, *given]
        facts_wait = stage is Stage.LAKE and Stage.FACTS in self.stages
        for row in self._ask(stage.value, parameters, which):
            provider, event_id, body, identity, kind, amount_minor, currency, day, pending = row
            money = money_of(kind, amount_minor, currency)
            seen = Seen(provider, event_id, body, money, identity)
            yield seen, day, pending and facts_wait

    def _watermark(self, table: str) -> LoadPosition:
        found = dict(self._ask("watermark", [], table=table))
        return LoadPosition(int(found.get(XID_PROPERTY, 0)), int(found.get(ID_PROPERTY, 0)))

    def _facts_reached(self) -> LoadPosition:
        ((xid, row_id),) = self._ask("facts_reached", [])
        return LoadPosition(xid or 0, row_id or 0)

    def _ask(
        self, name: str, parameters: list[Any], which: str = "", table: str = ""
    ) -> Iterator[list[Any]]:
        query = SQL[name].format(**self._schemas._asdict(), which=which, table=table)
        cursor = self._connection.cursor()
        cursor.execute(query, parameters)
        while rows := cursor.fetchmany(ROWS_A_FETCH):
            yield from rows


class Found(NamedTuple):
    """The stages of the lakehouse that exist, and why others do not."""

    lakehouse: Lakehouse | None
    absent: dict[Stage, str]
    """Why a requested stage can't be audited."""


def find(settings: Settings, wanted: Sequence[Stage], schemas: Schemas = SCHEMAS) -> Found:
    """Find the requested stages that can be audited, and say why the others can't."""
    if not wanted:
        return Found(None, {})
    try:
        connection = connect(settings, application="payments-audit")
        tables = _tables(connection, schemas)
    except NoTrinoError as why:
        return Found(None, dict.fromkeys(wanted, str(why)))
    tables_of = {
        Stage.LAKE: (schemas.data, EVENTS_TABLE),
        Stage.LAKE_QUARANTINE: (schemas.data, QUARANTINE_TABLE),
        Stage.FACTS: (schemas.marts, FACTS_TABLE),
    }
    there = [stage for stage in wanted if tables_of[stage] in tables]
    if Stage.LAKE not in there:
        there = []
    absent = {
        stage: f"there is no {'.'.join(tables_of[stage])} of this version yet" for stage in wanted
    }
    absent = {stage: why for stage, why in absent.items() if stage not in there}
    return Found(Lakehouse(connection, schemas, there) if there else None, absent)


def _tables(connection: "Connection", schemas: Schemas) -> set[tuple[str, str]]:
    """Return the tables that exist.

    Raises:
        NoTrinoError: the server does not answer as Trino does.
    """
    from trino.exceptions import TrinoQueryError

    try:
        cursor = connection.cursor()
        cursor.execute(SQL["tables"].format(**schemas._asdict()))
        return {(schema, name) for schema, name in cursor.fetchall()}
    except TrinoQueryError as refusal:
        raise NoTrinoError(f"Trino answers {refusal.error_name}") from None
    except _failures() as refusal:
        raise NoTrinoError(f"Trino does not answer: {type(refusal).__name__}") from None


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn an error of Trino's client into a `UserError` with one sentence."""
    try:
        yield
    except _failures() as refusal:
        said = getattr(refusal, "message", None) or type(refusal).__name__
        raise UserError(
            f"A query on Trino failed ({said}). See `payments logs trino`, or audit without the "
            "lakehouse: `payments audit --through bronze`."
        ) from None


def _failures() -> tuple[type[Exception], ...]:
    """Return the errors of Trino's client that are no defects of this code."""
    from requests import RequestException
    from trino.exceptions import Error, HttpError

    return Error, HttpError, RequestException
