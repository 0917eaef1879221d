"""Is a person gone everywhere, is everybody else untouched, and does a crash on the way not matter?

On a stack of its own, since an erasure cuts topics. Each test erases somebody else.
"""

import asyncio
import json
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import time
from typing import Any

import httpx
import psycopg
import pytest

import commands
import local_stack
from conftest import stack_settings
from orchestration_dagster.lake.loader import load
from orchestration_dagster.lake.tables import TABLES
from payment_pipeline.adapters import temporal
from payment_pipeline.adapters.trino import connect
from payment_pipeline.bronze.erased import STAND_IN
from payment_pipeline.domain.failures import UserError
from payment_pipeline.erasure import forget as erasure
from payment_pipeline.erasure import tables, topics, verbs, workflows
from payment_pipeline.erasure.forget import Found, Proof
from payment_pipeline.erasure.person import Person, surrogate_key
from payment_pipeline.ledger import tables as ledger_tables
from payment_pipeline.ledger.check import ledger_verdict
from payment_pipeline.ledger.window import Window
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.signing import signature
from providers.stripe_bodies import body, example

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

PARTS = (
    *("postgres", "kafka", "temporal", "inference", "gateway", "normalizer", "dispatcher"),
    *("worker", "seaweedfs", "trino"),
)
TOTALS = "SELECT kind, currency, count(*), sum(amount_minor) FROM payment_events GROUP BY 1, 2"
# With failures and successes, with what is about the customer alone, and with a review.
PEOPLE = """
SELECT customer_id FROM payment_events WHERE customer_id LIKE 'cus%'
GROUP BY 1
HAVING count(DISTINCT kind) >= 2 AND bool_or(kind = 'charge') AND bool_or(fraud_score > 0.0001)
ORDER BY count(DISTINCT kind) DESC, 1
"""


MART = """
CREATE OR REPLACE TABLE marts.fct_payment_events AS
SELECT
    provider, event_id, kind, amount_minor, currency, received_at, ingest_xid, customer_id,
    lower(to_hex(md5(to_utf8(
        '6:stripe' || cast(length(customer_id) AS varchar) || ':' || customer_id
    )))) AS customer_key
FROM data.payment_events
"""


@dataclass(frozen=True)
class Lake(verbs.WholeLake):
    """The lake with a mart of one statement: what dbt builds is the marts' own tests'."""

    def rebuild(self) -> None:
        mart(self.settings)


@dataclass
class House:
    """The stack after some traffic, and who has not been erased yet."""

    settings: Settings
    people: list[str] = field(default_factory=list)

    def search(self, customer: str) -> Found:
        async def search() -> Found:
            async with verbs.opened(self.settings, lake(self.settings)) as stores:
                return await erasure.search(stores, Person("stripe", customer), print)

        return asyncio.run(search())

    def forget(self, customer: str) -> Proof:
        async def forget() -> Proof:
            async with verbs.opened(self.settings, lake(self.settings)) as stores:
                found = await erasure.search(stores, Person("stripe", customer), print)
                return await erasure.forget(stores, found, print)

        return asyncio.run(forget())

    def ask(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings.dsn, autocommit=True) as connection:
            return connection.execute(query, given).fetchall()

    def send(self, event_type: str, found: dict[str, Any], event_id: str) -> None:
        sent = body(event_type, found, id=event_id)
        signed = signature(sent, self.settings.webhook_secrets("stripe")[0], int(time()))
        url = f"http://{self.settings.host}:{self.settings.gateway_port}/webhooks/stripe"
        headers = {"Stripe-Signature": signed, "Content-Type": "application/json"}
        assert httpx.post(url, content=sent, headers=headers).status_code == 200

    def settle(self) -> None:
        done = commands.call(self.settings, "audit", "--through", "bronze", "--json")
        assert done.returncode == 0, done.stdout

    def totals(self) -> list[tuple[Any, ...]]:
        return sorted(self.ask(TOTALS), key=str)


def lake(settings: Settings) -> Lake:
    return Lake(settings, lambda _settings: None)


def mart(settings: Settings) -> None:
    """As dbt names it and makes its keys; the ledger reads it too."""
    with connect(settings) as connection:
        for statement in (
            "CREATE SCHEMA IF NOT EXISTS marts",
            MART,
        ):
            cursor = connection.cursor()
            cursor.execute(statement)
            cursor.fetchall()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    # Every charge is reviewed, so that the person is in Temporal too.
    settings = stack_settings(tmp_path_factory.mktemp("erasure"), fraud_review_threshold=0.0001)
    local_stack.up(settings, only=PARTS)
    try:
        words = ("simulate", "--events", "900", "--seed", "3", "--malformed", "0.03")
        assert commands.call(settings, *words).returncode == 0
        own = House(settings)
        own.settle()
        for table in TABLES:
            load(settings, table)
        mart(settings)
        own.people = [customer for (customer,) in own.ask(PEOPLE)]
        assert len(own.people) > 10
        yield own
    finally:
        local_stack.down(settings)


def test_the_person_is_gone_everywhere_and_the_totals_stay(house: House) -> None:
    person, neighbour = house.people.pop(), house.people[0]
    before, beside = house.totals(), house.search(neighbour)
    rows = house.ask("SELECT count(*) FROM payment_events WHERE customer_id = %s", person)
    objects = house.search(person).person.objects

    proof = house.forget(person)

    places = {place.split()[0] for place in proof.found}
    assert places == {"topic", "workflows", "bronze", "lake"}, proof.found
    assert "lake marts.fct_payment_events" in proof.found
    assert proof.left == {}
    assert not house.search(person).counts()
    assert house.totals() == before
    verdict = ledger_verdict(house.settings, Window(None, datetime.now(UTC)))
    assert verdict.ok, verdict.sentence
    house.settle()
    # One token for all their rows, and nothing that leads back.
    told = house.ask("SELECT customer_id, count(*) FROM payment_events GROUP BY 1")
    tokens = [(who, n) for who, n in told if who and who.startswith(STAND_IN)]
    assert rows[0][0] in [n for _, n in tokens]
    said = json.dumps(house.ask("SELECT e::text FROM erasures AS e"))
    assert person not in said
    assert not [each for each in objects if each in said]
    after = house.search(neighbour)
    assert (after.rows, after.files) == (beside.rows, beside.files), "nobody else is touched"


def test_what_comes_later_about_an_old_payment_takes_the_token(house: House) -> None:
    person = house.people.pop()
    ((payment,), *_) = house.ask(
        "SELECT payment_id FROM payment_events WHERE customer_id = %s AND kind = 'charge'", person
    )
    house.forget(person)
    charge = example("charge", payment_intent=payment, customer=person, id="ch_later")
    house.send("charge.refunded", charge, "evt_later")
    house.send("customer.updated", example("customer", id=person), "evt_alone")
    house.settle()

    ((token, attributes),) = house.ask(
        "SELECT customer_id, attributes FROM payment_events WHERE event_id = 'evt_later'"
    )
    assert token.startswith(STAND_IN)
    assert "card_hash" not in attributes.get("payment_method", {})
    known = house.ask(
        "SELECT DISTINCT customer_id FROM payment_events WHERE payment_id = %s", payment
    )
    assert known == [(token,)]
    # About the customer alone it is somebody new, who can be erased like anybody.
    assert "bronze payment_events" in house.search(person).counts()
    assert house.forget(person).left == {}


class CrashError(Exception):
    """The process dies here."""


STEPS = [
    (topics, "apply"),
    (workflows, "delete"),
    (tables, "erase"),
    (Lake, "catch_up"),
    (Lake, "rebuild"),
]


@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[name for _, name in STEPS])
def test_a_call_after_a_crash_finds_the_rest(
    house: House, monkeypatch: pytest.MonkeyPatch, owner: object, step: str
) -> None:
    person, before = house.people.pop(), house.totals()
    real = getattr(owner, step)

    def crash(*given: object) -> object:
        ended = real(*given)
        if not asyncio.iscoroutine(ended):
            raise CrashError
        return dying(ended)

    async def dying(step: Awaitable[object]) -> None:
        await step
        raise CrashError

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, crash)
        with pytest.raises(CrashError):
            house.forget(person)

    house.forget(person)
    assert not house.search(person).counts()
    assert house.totals() == before
    house.settle()


def test_events_flow_and_a_loader_runs_meanwhile(house: House) -> None:
    person = house.people.pop()
    simulated = commands.start(house.settings, "simulate", "--events", "600", "--seed", "4")
    loading = commands.start(house.settings, "lake", "load")
    proof = house.forget(person)
    assert simulated.wait(120) == loading.wait(120) == 0
    for process in (simulated, loading):
        process.communicate()
    assert proof.left == {}
    house.settle()
    for table in TABLES:
        load(house.settings, table)
    mart(house.settings)
    assert ledger_verdict(house.settings, Window(None, datetime.now(UTC))).ok
    assert not house.search(person).counts()


def test_nothing_is_cut_that_is_not_at_rest(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = house.people.pop()
    before = house.search(person).counts()
    # What the ledger finds on the topics and not in bronze, whatever the stages say of themselves.
    hidden = {name: f"{query} AND false" for name, query in ledger_tables.SQL.items()}
    monkeypatch.setattr(erasure, "AT_REST_WITHIN_S", 1.0)
    for name in ("events_received", "events_by_identity"):
        monkeypatch.setitem(ledger_tables.SQL, name, hidden[name])
    with pytest.raises(UserError, match="nothing is cut"):
        house.forget(person)
    monkeypatch.undo()
    assert house.search(person).counts() == before


def test_the_command_says_what_is_where_and_asks_first(house: House) -> None:
    person = house.people.pop()
    told = commands.call(house.settings, "forget", "--customer", person, "--dry-run", "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)["found"]
    assert found == house.search(person).counts()
    # Nobody answers: nothing happens.
    asked = commands.call(house.settings, "forget", "--customer", person)
    assert asked.returncode == 1
    assert house.search(person).counts() == found
    nobody = commands.call(house.settings, "forget", "--customer", "cus_nobody", "--yes")
    assert nobody.returncode == 0
    assert "Nothing here names this person" in nobody.stdout


@pytest.mark.parametrize("words", [("--customer", "x"), ("--customer", "cus_1", "--provider", "y")])
def test_a_wrong_call_is_one_sentence(house: House, words: Sequence[str]) -> None:
    refused = commands.call(house.settings, "forget", *words)
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1


def test_two_at_once_are_one_after_the_other(house: House) -> None:
    async def both() -> None:
        async with verbs.opened(house.settings, None), verbs.opened(house.settings, None):
            pass

    with pytest.raises(UserError, match="Another erasure"):
        asyncio.run(both())


async def test_an_open_review_ends_with_the_person(house: House) -> None:
    person = house.people.pop()
    client = await temporal.connect(house.settings)
    running = f"CustomerId = '{person}' AND ExecutionStatus = 'Running'"
    assert [one async for one in client.list_workflows(running)]
    proof = await asyncio.to_thread(house.forget, person)
    assert "workflows" in proof.found
    assert not [one async for one in client.list_workflows(running)]


def test_the_marts_key_is_searched_for_too() -> None:
    assert surrogate_key(("stripe", "cus_1")) in Person("stripe", "cus_1").names
