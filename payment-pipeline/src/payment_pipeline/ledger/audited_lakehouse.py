"""Which events do the lake and the facts hold, and how far have they been loaded?

Streamed from Trino, the facts before the lake and the lake before bronze: what is in a later stage
was in the earlier one before. Each stage's watermark is taken before its rows, so what lies at or
below it is among them, or it is missing; what lies above it is the next load's.
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
"""The loader's, `orchestration_dagster.lake.watermark`; a test holds them against it."""

_IN_WINDOW: Final = "received_at >= ? AND received_at < ?"
_OF_IDS: Final = "event_id IN (SELECT * FROM unnest(?))"
_OF_BODIES: Final = "body_sha256 IN (SELECT * FROM unnest(?))"
_BEGINNING: Final = datetime(EPOCH.year, EPOCH.month, EPOCH.day, tzinfo=UTC)


class Place(NamedTuple):
    """Where a row stands in the loader's order."""

    xid: int = 0
    id: int = 0


class LookedUp(NamedTuple):
    """What bronze has of events that are missing in the window."""

    ids: list[str]
    """Events'."""
    bodies: list[str]
    """Dead letters' hashes."""


class Schemas(NamedTuple):
    """Where the loader and dbt write."""

    data: str = "data"
    marts: str = "marts"


SCHEMAS: Final = Schemas()


class Lakehouse:
    """The lakehouse's stages that are there, and how to read them."""

    def __init__(self, connection: "Connection", schemas: Schemas, wanted: Sequence[Stage]) -> None:
        self._connection = connection
        self._schemas = schemas
        self.stages = tuple(wanted)

    def close(self) -> None:
        """Leave Trino."""
        self._connection.close()  # type: ignore[no-untyped-call]  # trino types only a part

    def reached(self) -> dict[Stage, Place]:
        """How far each stage has been loaded.

        Raises:
            UserError: Trino doesn't answer.
        """
        places = {
            Stage.LAKE: lambda: self._watermark(EVENTS_TABLE),
            Stage.LAKE_QUARANTINE: lambda: self._watermark(QUARANTINE_TABLE),
            Stage.FACTS: self._facts_reached,
        }
        with _one_sentence():
            return {stage: places[stage]() for stage in self.stages}

    def read(self, window: Window, reading: Reading) -> dict[Stage, Place]:
        """Read the rows of a window anew; return how far each stage had been loaded before.

        Raises:
            UserError: Trino doesn't answer to the end.
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
        reached: Mapping[Stage, Place],
    ) -> None:
        """Add what the stages hold of events whose rows in bronze are from outside the window.

        Raises:
            UserError: Trino doesn't answer to the end.
        """
        for stage in reversed(self.stages):
            quarantined = stage is Stage.LAKE_QUARANTINE
            wanted, which = (found.bodies, _OF_BODIES) if quarantined else (found.ids, _OF_IDS)
            rows = dict[str, tuple[Seen, int, bool]]()
            with _one_sentence():
                for start in range(0, len(wanted), LOOKUP_EVENTS_MAX):
                    some = [list(wanted[start : start + LOOKUP_EVENTS_MAX])]
                    for row in self._rows(stage, which, some, reached):
                        # A dead letter counts once a body, as in bronze's own look-up.
                        name = row[0].body_sha256 if quarantined else str(len(rows))
                        rows[name] = row
            for seen, day, pending in rows.values():
                reading.stages[stage].add(seen, day)
                if pending:
                    reading.pending[Stage.FACTS].add(seen, day)

    def _rows(
        self, stage: Stage, which: str, given: list[Any], reached: Mapping[Stage, Place]
    ) -> Iterator[tuple[Seen, int, bool]]:
        """The rows of a stage: what was seen, on which day, and whether the facts wait for it."""
        if stage is Stage.LAKE_QUARANTINE:
            for provider, event_id, body_sha256, day in self._ask(stage.value, given, which):
                yield Seen(provider, event_id, body_sha256, UNSTATED), day, False
            return
        parameters = given
        if stage is Stage.LAKE:
            xid, row_id = reached.get(Stage.FACTS, Place())
            parameters = [xid, xid, row_id, *given]
        facts_wait = stage is Stage.LAKE and Stage.FACTS in self.stages
        for row in self._ask(stage.value, parameters, which):
            provider, event_id, body_sha256, kind, amount_minor, currency, day, pending = row
            money = money_of(kind, amount_minor, currency)
            yield Seen(provider, event_id, body_sha256, money), day, pending and facts_wait

    def _watermark(self, table: str) -> Place:
        found = dict(self._ask("watermark", [], table=table))
        return Place(int(found.get(XID_PROPERTY, 0)), int(found.get(ID_PROPERTY, 0)))

    def _facts_reached(self) -> Place:
        ((xid, row_id),) = self._ask("facts_reached", [])
        return Place(xid or 0, row_id or 0)

    def _ask(
        self, name: str, parameters: list[Any], which: str = "", table: str = ""
    ) -> Iterator[list[Any]]:
        query = SQL[name].format(**self._schemas._asdict(), which=which, table=table)
        cursor = self._connection.cursor()
        cursor.execute(query, parameters)
        while rows := cursor.fetchmany(ROWS_A_FETCH):
            yield from rows


class Found(NamedTuple):
    """What there is of the lakehouse."""

    lakehouse: Lakehouse | None
    absent: dict[Stage, str]
    """Why a stage that was wanted can't be audited."""


def find(settings: Settings, wanted: Sequence[Stage], schemas: Schemas = SCHEMAS) -> Found:
    """Which of the wanted stages can be audited, and why not the others."""
    if not wanted:
        return Found(None, {})
    try:
        connection = connect(settings, application="payments-audit")
        tables = _tables(connection, schemas)
    except NoTrinoError as why:
        return Found(None, dict.fromkeys(wanted, str(why)))
    places = {
        Stage.LAKE: (schemas.data, EVENTS_TABLE),
        Stage.LAKE_QUARANTINE: (schemas.data, QUARANTINE_TABLE),
        Stage.FACTS: (schemas.marts, FACTS_TABLE),
    }
    there = [stage for stage in wanted if places[stage] in tables]
    if Stage.LAKE not in there:
        there = []
    absent = {stage: f"there is no {'.'.join(places[stage])} yet" for stage in wanted}
    absent = {stage: why for stage, why in absent.items() if stage not in there}
    return Found(Lakehouse(connection, schemas, there) if there else None, absent)


def _tables(connection: "Connection", schemas: Schemas) -> set[tuple[str, str]]:
    """Which tables there are.

    Raises:
        NoTrinoError: it doesn't answer as Trino does.
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
    """Turn what Trino's client raises into a sentence."""
    try:
        yield
    except _failures() as refusal:
        said = getattr(refusal, "message", None) or type(refusal).__name__
        raise UserError(
            f"Trino can't be asked to the end ({said}): see `payments logs trino`, or audit "
            "without the lakehouse: `payments audit --through bronze`."
        ) from None


def _failures() -> tuple[type[Exception], ...]:
    """What Trino's client raises, beside defects of our own."""
    from requests import RequestException
    from trino.exceptions import Error, HttpError

    return Error, HttpError, RequestException
