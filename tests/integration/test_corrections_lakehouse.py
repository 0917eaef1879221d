"""Tests that a correction reaches Iceberg and the marts exactly once, and the audit is clean.

A normalizer with two bugs fills bronze: the amounts of one currency are a hundred times too large,
and some charges are stored as separate payments. The test loads and models these rows, corrects
them, then loads and models again.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from orchestration_dagster.lake import compare, lake_tables
from orchestration_dagster.lake.loader import Loaded, load
from payment_pipeline.adapters import postgres
from payment_pipeline.bronze import corrections, refold, writer
from payment_pipeline.bronze.contract import EVENTS_TABLE, QUARANTINE_TABLE
from payment_pipeline.domain.events import Charge, Dispute, Payment, PaymentEvent, Refund
from payment_pipeline.ledger.audited_lakehouse import Schemas
from payment_pipeline.ledger.ledger_verdict import ledger_verdict
from payment_pipeline.ledger.stages import Stage
from payment_pipeline.settings import Settings
from support import lake_rows
from support.bronze_events import unscored
from support.dbt_project import Dbt
from support.lake_loads import assert_exact, own_lake, rows

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

EVENTS = 900
WRONG_CURRENCY = "EUR"
BY = "replay/2026-07-02T00:00:00Z"
MODELS = ("+fct_payments", "+fct_payment_events")
INCREMENTAL = ("int_payment_events", "int_payment_current_state")


def as_the_bug_had_it(event: PaymentEvent) -> PaymentEvent:
    wrong: dict[str, object] = {}
    if event.currency == WRONG_CURRENCY and event.amount_minor is not None:
        wrong["amount_minor"] = event.amount_minor * 100
    if isinstance(event, Charge):
        wrong["payment_id"] = event.object_id
    return event.model_copy(update={**wrong, "normalizer_version": "0"}) if wrong else event


class House:
    """Bronze, a lake and marts of the test's own."""

    def __init__(self, settings: Settings, dbt: Dbt) -> None:
        self.settings = settings
        self.dbt = dbt

    def load(self) -> Loaded:
        load(self.settings, QUARANTINE_TABLE)
        load(self.settings, "payment_decisions")
        return load(self.settings, EVENTS_TABLE)

    def totals(self) -> dict[str, tuple[int, int]]:
        """Events and the sum of their amounts, by currency, in the facts."""
        facts = self.dbt.schema("marts") + ".fct_payment_events"
        found = self.dbt.query(
            f"select currency, count(*), sum(amount_minor) from {facts}"
            " where currency is not null group by 1"
        )
        return {currency: (count, int(amount or 0)) for currency, count, amount in found}

    def payments(self) -> set[str]:
        facts = self.dbt.schema("marts") + ".fct_payments"
        return {payment for (payment,) in self.dbt.query(f"select payment_id from {facts}")}

    def assert_adds_up(self) -> None:
        """Bronze = lake = facts, as `payments audit --through facts` holds them."""
        schemas = Schemas(data=self.dbt.data_schema, marts=self.dbt.schema("marts"))
        verdict = ledger_verdict(self.settings, lake_rows.RECEIVED_AT.date(), Stage.FACTS, schemas)
        assert verdict.ok, verdict.sentence
        assert compare.differences(self.settings, EVENTS_TABLE) == []
        assert_exact(self.settings)


@pytest.fixture
def house(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    with own_lake(lakehouse, monkeypatch) as settings:
        data = lake_tables.NAMESPACE
        yield House(settings, Dbt(settings, tmp_path, data, f"{data}_"))


def run(settings: Settings, wrong: Sequence[PaymentEvent], right: Sequence[PaymentEvent]) -> int:
    """Write the wrong events, or where `right` is given correct them; how many were corrected."""

    async def both() -> int:
        pool = await postgres.pool(settings)
        try:
            if wrong:
                await writer.write(pool, [unscored(event) for event in wrong], "test")
            found = await corrections.correct(pool, right, BY) if right else []
            await refold.refold(pool)
            return len(found)
        finally:
            await pool.close()

    return asyncio.run(both())


def totals_of(events: Sequence[PaymentEvent]) -> dict[str, tuple[int, int]]:
    counts = Counter(event.currency for event in events if event.currency)
    amounts = Counter[str]()
    for event in events:
        if event.currency:
            amounts[event.currency] += event.amount_minor or 0
    return {currency: (count, amounts[currency]) for currency, count in counts.items()}


def payments_of(events: Sequence[PaymentEvent]) -> set[str]:
    """The payments of the events. A refund or a dispute of a charge belongs to its payment."""
    links = {
        charge_id: event.payment_id
        for event in events
        if isinstance(event, Charge | Payment)
        and (charge_id := event.object_id if isinstance(event, Charge) else event.charge_id)
    }
    own = {event.payment_id for event in events if isinstance(event, Charge | Payment)}
    linked = {
        links.get(event.payment_id) or event.payment_id
        for event in events
        if isinstance(event, Dispute | Refund) and event.payment_id
    }
    return {payment_id for payment_id in own | linked if payment_id}


def test_a_correction_reaches_the_facts_once_and_all_adds_up(house: House) -> None:
    right = lake_rows.events(5, EVENTS)
    wrong = [as_the_bug_had_it(event) for event in right]
    run(house.settings, wrong, ())
    house.load()
    house.dbt.run("build", "--resource-types", "seed", "model", "--select", *MODELS)
    assert house.totals() == totals_of(wrong) != totals_of(right)
    assert house.payments() == payments_of(wrong) > payments_of(right)
    house.assert_adds_up()

    corrected = run(house.settings, (), right)
    assert 0 < corrected < EVENTS
    loaded = house.load()
    assert (loaded.rows, loaded.replaced) == (corrected, corrected)
    assert len(rows(house.settings)) == len(right)
    house.dbt.run("run", "--select", *MODELS)
    assert house.totals() == totals_of(right)
    assert house.payments() == payments_of(right)
    house.assert_adds_up()

    assert run(house.settings, (), right) == 0
    assert house.load().rows == 0
    _assert_as_a_full_refresh(house.dbt)


def _assert_as_a_full_refresh(dbt: Dbt) -> None:
    schema, columns = dbt.schema("intermediate"), dbt.columns("intermediate")
    for name in INCREMENTAL:
        dbt.query(f"create table {schema}.{name}_before as select * from {schema}.{name}")
    dbt.run("run", "--full-refresh", "--select", *INCREMENTAL)
    for name in INCREMENTAL:
        kept = ", ".join(column for column in columns[name] if column != "modelled_at")
        for one, other in ((name, f"{name}_before"), (f"{name}_before", name)):
            assert not dbt.query(
                f"select {kept} from {schema}.{one} except select {kept} from {schema}.{other}"
            ), name
