"""The ledger reads the lake and the facts on a real Trino, and names every fault.

Bronze is filled by its writer and the lake by its loader; the facts are copied from the lake as dbt
would build them. Then one of them is broken by Trino.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Thread
from typing import Any

import pytest

from orchestration_dagster.lake import lake_tables
from orchestration_dagster.lake.loader import load
from payment_pipeline.adapters import postgres
from payment_pipeline.adapters.trino import connect
from payment_pipeline.bronze import writer
from payment_pipeline.bronze.contract import EVENTS_TABLE, QUARANTINE_TABLE, InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain.failures import BadRecord, FailureClass, FieldError, UserError
from payment_pipeline.ledger import audit_json, audited_lakehouse
from payment_pipeline.ledger.audit_runner import Report, Request, run
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.audited_lakehouse import LookedUp, Schemas
from payment_pipeline.ledger.ledger_verdict import Verdict, ledger_verdict
from payment_pipeline.ledger.stages import LAKEHOUSE, Reading, Stage
from payment_pipeline.settings import Settings
from support.lake_loads import own_lake
from support.normalized_events import NOWHERE, charge

pytestmark = pytest.mark.stack

DAY = datetime(2002, 3, 4, tzinfo=UTC)
BEFORE_ALL = Window(datetime(1999, 1, 1, tzinfo=UTC), datetime(1999, 1, 2, tzinfo=UTC))


@dataclass
class House:
    """Bronze, a lake and facts of the test's own."""

    settings: Settings
    schemas: Schemas

    def write(self, *names: str, at: datetime = DAY, amount_minor: int = 1999) -> None:
        """Events into bronze, a second apart."""

        async def write() -> None:
            pool = await postgres.pool(self.settings)
            rows = []
            for number, name in enumerate(names):
                event = charge(number, "x", NOWHERE, body=name.encode())
                changed = {
                    "event_id": name,
                    "received_at": at + timedelta(seconds=number),
                    "amount_minor": amount_minor,
                }
                event = event.model_copy(update=changed)
                rows.append(ScoredEvent(event, None, InferenceStatus.NOT_APPLICABLE))
            await writer.write(pool, rows, "test")
            await pool.close()

        asyncio.run(write())

    def quarantine(self, body: bytes) -> None:
        async def write() -> None:
            pool = await postgres.pool(self.settings)
            offset = int(sha256(body).hexdigest()[:8], 16)
            await writer.quarantine(pool, [dead_letter(body, offset)], "test")
            await pool.close()

        asyncio.run(write())

    def load(self) -> None:
        """What the micro-batch does."""
        load(self.settings, EVENTS_TABLE)
        load(self.settings, QUARANTINE_TABLE)

    def build(self) -> None:
        """The facts anew, as far as the ledger reads them."""
        self.ask(
            "CREATE OR REPLACE TABLE {marts}.fct_payment_events AS SELECT provider, event_id, "
            "body_sha256, identity_sha256, kind, amount_minor, currency, received_at, ingest_xid "
            "FROM {data}.payment_events"
        )

    def ask(self, query: str) -> list[list[Any]]:
        with connect(self.settings) as connection:
            cursor = connection.cursor()
            cursor.execute(query.format(**self.schemas._asdict()))
            found: list[list[Any]] = cursor.fetchall()
            return found

    def verdict(self, through: Stage | None = None) -> Verdict:
        return ledger_verdict(self.settings, DAY.date(), through, self.schemas)

    def audit(self, through: Stage | None, wait_s: float = 0) -> Report:
        """Of a window without events: what counts is what is waited for, and what is there."""
        request = Request(BEFORE_ALL, False, None, wait_s, through)
        return asyncio.run(run(self.settings, request, print, self.schemas))


def dead_letter(body: bytes, offset: int) -> BadRecord:
    return BadRecord(
        failure=FailureClass.INVALID,
        errors=(FieldError(path="", message="on purpose"),),
        component="test",
        component_version="test",
        provider="stripe",
        event_id=None,
        provider_event_type=None,
        source=replace(NOWHERE, offset=offset),
        body=body,
        body_sha256=sha256(body).hexdigest(),
        received_at=DAY,
        verdict="verified",
        rejected_at=DAY,
    )


@pytest.fixture
def house(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with own_lake(lakehouse, monkeypatch) as settings:
        own = House(settings, Schemas(lake_tables.NAMESPACE, f"{lake_tables.NAMESPACE}_marts"))
        own.ask("CREATE SCHEMA {data}")
        own.ask("CREATE SCHEMA {marts}")
        yield own
        own.ask("DROP TABLE IF EXISTS {marts}.fct_payment_events")
        own.ask("DROP SCHEMA {marts}")


def test_the_same_events_and_amounts_from_bronze_to_the_facts(house: House) -> None:
    house.write("evt_1", "evt_2", at=DAY + timedelta(hours=1))
    house.write("evt_other_day", at=DAY - timedelta(days=1))
    house.quarantine(b"{")
    house.load()
    house.build()

    verdict = house.verdict(Stage.FACTS)

    assert verdict.ok, verdict
    assert verdict.sentence == (
        "clean: 2 stored events, each at exactly one destination, and on to the facts"
    )
    of_the_day = verdict.figures["days"]["2002-03-04"]
    same = {"events": 2, "hash_total": {"EUR": 2 * 1999}}
    assert [of_the_day[stage] for stage in ("bronze", "lake", "facts")] == [same] * 3
    assert of_the_day["lake_quarantine"]["events"] == of_the_day["quarantine"]["events"] == 1
    assert list(verdict.figures["days"]) == ["2002-03-04"]
    assert verdict.figures["pending"] == {"lake": 0, "lake_quarantine": 0, "facts": 0}


def test_what_is_broken_on_purpose_is_named(house: House) -> None:
    names = ("evt_ok", "evt_no_lake", "evt_no_fact", "evt_twice", "evt_fact_twice", "evt_altered")
    house.write(*names, "evt_other_body")
    house.quarantine(b"{ altered")
    house.load()
    house.build()
    house.ask("DELETE FROM {data}.payment_events WHERE event_id = 'evt_no_lake'")
    house.ask("DELETE FROM {marts}.fct_payment_events WHERE event_id LIKE 'evt_no%'")
    for table in ("{data}.payment_events", "{marts}.fct_payment_events"):
        event_id = "evt_twice" if "data" in table else "evt_fact_twice"
        house.ask(f"INSERT INTO {table} SELECT * FROM {table} WHERE event_id = '{event_id}'")
    house.ask(
        "UPDATE {marts}.fct_payment_events SET amount_minor = 2000 WHERE event_id = 'evt_altered'"
    )
    house.ask(
        "UPDATE {marts}.fct_payment_events SET body_sha256 = lpad('', 64, 'b') "
        "WHERE event_id = 'evt_other_body'"
    )
    house.ask(
        "INSERT INTO {marts}.fct_payment_events VALUES ('stripe', 'evt_invented', "
        "lpad('', 64, 'a'), NULL, 'charge', 5, 'EUR', TIMESTAMP '2002-03-04 00:00:00 UTC', 1)"
    )
    house.ask("UPDATE {data}.payment_events_quarantine SET body = X'00'")

    figures = house.verdict().figures

    assert figures["ok"] is False
    letter = f"sha256:{sha256(b'{ altered').hexdigest()[:32]}"
    altered = f"sha256:{sha256(bytes([0])).hexdigest()[:32]}"
    assert {name: seen[-1] for name, seen in figures["missing_seen_in"].items()} == {
        "evt_no_lake": "bronze",
        "evt_no_fact": "lake",
        "evt_other_body": "lake",
        letter: "quarantine",
    }
    assert figures["duplicated"] == ["evt_fact_twice", "evt_twice"]
    assert figures["mismatched"] == ["evt_altered"]
    assert figures["unexplained"] == ["evt_invented", "evt_other_body", altered]


def test_what_the_next_load_brings_is_pending_and_then_there(house: House) -> None:
    house.write("evt_1")
    house.load()
    house.build()
    house.write("evt_2", at=DAY + timedelta(hours=1))
    house.quarantine(b"{")
    verdict = house.verdict()
    assert verdict.ok, verdict
    assert verdict.figures["pending"] == {"lake": 1, "lake_quarantine": 1, "facts": 0}

    house.load()
    verdict = house.verdict()
    assert verdict.ok, verdict
    assert verdict.figures["pending"] == {"lake": 0, "lake_quarantine": 0, "facts": 1}

    house.build()
    verdict = house.verdict()
    assert verdict.ok, verdict
    assert verdict.figures["pending"] == {"lake": 0, "lake_quarantine": 0, "facts": 0}


def test_what_is_not_there_yet_is_said_and_refused_where_it_was_asked_for(house: House) -> None:
    found = house.audit(None)
    assert set(found.absent) == set(LAKEHOUSE)
    house.write("evt_1")
    house.load()
    found = house.audit(None)
    assert found.absent == {
        Stage.FACTS: f"there is no {house.schemas.marts}.fct_payment_events of this version yet"
    }
    assert audit_json.as_json(found)["stages"]["lake"] == {
        "events": 0,
        "records": 0,
        "hash_total": {},
    }
    assert house.audit(Stage.LAKE).absent == {}
    with pytest.raises(UserError, match="No audit through facts: there is no"):
        house.audit(Stage.FACTS)


def test_an_audit_through_the_facts_waits_for_them(house: House) -> None:
    house.write("evt_1")
    house.load()
    house.build()
    house.write("evt_2")
    assert not house.audit(Stage.FACTS).settled

    def catch_up() -> None:
        house.load()
        house.build()

    worker = Thread(target=catch_up)
    worker.start()
    found = house.audit(Stage.FACTS, wait_s=60)
    worker.join()
    assert found.settled
    assert found.elapsed_s < 50


def test_what_bronze_has_from_before_the_window_is_found_in_the_lakehouse(house: House) -> None:
    house.write("evt_1", "evt_2")
    house.quarantine(b"{")
    house.load()
    house.build()
    found = audited_lakehouse.find(house.settings, LAKEHOUSE, house.schemas).lakehouse
    assert found
    reading = Reading()
    reached = found.read(BEFORE_ALL, reading)
    assert not any(len(reading.stages[stage]) for stage in LAKEHOUSE)
    looked_up = LookedUp(["evt_2", "evt_nowhere"], [sha256(b"{").hexdigest()])
    found.look_up(looked_up, reading, reached)
    assert [reading.stages[stage].name(0) for stage in (Stage.LAKE, Stage.FACTS)] == ["evt_2"] * 2
    assert [len(reading.stages[stage]) for stage in LAKEHOUSE] == [1, 1, 1]
    assert not len(reading.pending[Stage.FACTS])
    found.close()


def test_a_trino_that_is_none_is_said(lakehouse: Settings) -> None:
    elsewhere = lakehouse.model_copy(update={"trino_url": lakehouse.s3})
    found = audited_lakehouse.find(elsewhere, LAKEHOUSE)
    assert set(found.absent) == set(LAKEHOUSE)
    assert "is not Trino" in found.absent[Stage.LAKE]
