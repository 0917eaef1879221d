"""Tests that an erasure removes a person everywhere, changes nobody else, and survives crashes.

The tests have their own stack, because an erasure cuts topics. Each test erases another person. One
statement builds the mart, with the name and the key that dbt uses. Only the test of the command
lets dbt build all models.
"""

import asyncio
import base64
import contextlib
import json
import pickle
import re
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, time
from typing import Any

import httpx
import psycopg
import pytest

from conftest import own_stack
from local_stack.components import superset
from orchestration_dagster.lake.lake_tables import TABLES
from orchestration_dagster.lake.loader import load
from payment_operations import erasure_run
from payment_operations.dbt_command import rebuild
from payment_operations.lakehouse_erasure import WholeLake
from payment_pipeline.adapters import postgres
from payment_pipeline.adapters.trino import connect
from payment_pipeline.bronze import refold
from payment_pipeline.bronze.erased import STAND_IN
from payment_pipeline.dlq import dead_letter_clients
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.topics import DLQ_VALIDATION
from payment_pipeline.erasure import erased_rows, erased_topics, erased_workflows
from payment_pipeline.erasure import erasure_steps as erasure
from payment_pipeline.erasure.erasure_steps import Found, Proof, Stores
from payment_pipeline.erasure.person import Person
from payment_pipeline.ledger import audited_tables as ledger_tables
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.ledger_verdict import ledger_verdict
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.signing import signature
from support import commands
from support.records import every_record
from support.stripe_bodies import body, example
from support.unmodelled import UNMODELLED_TYPE

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

PARTS = (
    *("postgres", "kafka", "temporal", "inference", "gateway", "normalizer", "dispatcher"),
    *("worker", "seaweedfs", "trino"),
)
LISTED_S = 60.0
TOTALS = "SELECT kind, currency, count(*), sum(amount_minor) FROM {} GROUP BY 1, 2"
ROWS = """
SELECT event_id, object_id, payment_id, amount_minor FROM {} WHERE customer_id IN ({}) ORDER BY 1
"""
# Whoever has paid, and so has a review; those with most kinds of events at the end.
PEOPLE = """
SELECT customer_id FROM payment_events WHERE starts_with(customer_id, 'cus')
GROUP BY 1
HAVING bool_or(event_type = 'charge.succeeded' AND fraud_score > 0.0001)
ORDER BY count(DISTINCT kind), 1
"""
MART = """
CREATE OR REPLACE TABLE marts.fct_payment_events AS
SELECT
    provider, event_id, body_sha256, kind, amount_minor, currency, received_at, ingest_xid,
    lower(to_hex(md5(to_utf8(
        '6:stripe' || cast(length(customer_id) AS varchar) || ':' || customer_id
    )))) AS customer_key
FROM data.payment_events
"""


@dataclass
class Stack:
    """A stack after some traffic, and whom no test has erased yet."""

    settings: Settings
    people: list[str]

    def search(self, customer: str) -> Found:
        async def search() -> Found:
            async with self._opened() as stores:
                return await erasure.search(stores, self.person(customer), print)

        return asyncio.run(search())

    def forget(self, customer: str) -> Proof:
        async def forget() -> Proof:
            async with self._opened() as stores:
                found = await erasure.search(stores, self.person(customer), print)
                return await erasure.forget(stores, found, print)

        return asyncio.run(forget())

    def ask(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings.dsn, autocommit=True) as connection:
            return connection.execute(query, given).fetchall()

    def totals(self) -> list[tuple[Any, ...]]:
        """By kind and currency: bronze's, then the mart's."""
        bronze = self.ask(TOTALS.format("payment_events"))
        mart = ask_trino(self.settings, TOTALS.format("marts.fct_payment_events"))
        return [*sorted(bronze, key=str), *sorted(map(tuple, mart), key=str)]

    def rows_of(self, customer: str) -> list[tuple[Any, ...]]:
        """What is said of somebody: bronze's, then the lake's; scores may come late."""
        ids = self.person(customer).customer_ids
        bronze = self.ask(ROWS.format("payment_events", "%s, %s"), *ids)
        quoted = ", ".join("'{}'".format(each.replace("'", "''")) for each in ids)
        lake = ask_trino(self.settings, ROWS.format("data.payment_events", quoted))
        return [*bronze, *map(tuple, lake)]

    def search_with_review(self, customer: str) -> Found:
        """What is found once Temporal lists the review, which it does a moment after the start."""
        give_up_at = monotonic() + LISTED_S
        while True:
            found = self.search(customer)
            if any(run.workflow_id.startswith("review/") for run in found.runs):
                return found
            assert monotonic() < give_up_at, found.runs

    def send(self, event_type: str, found: dict[str, Any], event_id: str) -> None:
        sent = body(event_type, found, id=event_id)
        signed = signature(
            sent, self.settings.signing_secrets(providers()["stripe"])[0], int(time())
        )
        url = f"http://{self.settings.host}:{self.settings.gateway_port}/webhooks/stripe"
        headers = {"Stripe-Signature": signed, "Content-Type": "application/json"}
        assert httpx.post(url, content=sent, headers=headers).status_code == 200

    def load(self) -> None:
        """Have the lake and the mart hold what bronze does."""
        for table in TABLES:
            load(self.settings, table)
        build_mart(self.settings)

    def settle(self) -> None:
        """Whatever was sent has ended where it should, and the tables behind bronze agree."""
        done = commands.call(self.settings, "audit", "--through", "bronze", "--json")
        assert done.returncode == 0, done.stdout
        verdict = ledger_verdict(self.settings, Window(None, datetime.now(UTC)))
        assert verdict.ok, verdict.sentence

    def person(self, customer: str) -> Person:
        return Person("stripe", customer, self.settings.secret("pseudonym_key").encode())

    def _opened(self) -> AbstractAsyncContextManager[Stores]:
        return erasure_run.opened(self.settings, WholeLake(self.settings, build_mart))


def build_mart(settings: Settings) -> None:
    ask_trino(settings, "CREATE SCHEMA IF NOT EXISTS marts")
    ask_trino(settings, MART)


def ask_trino(settings: Settings, statement: str) -> list[Any]:
    with connect(settings) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return list(cursor.fetchall())


@pytest.fixture(scope="module")
def stack_of_people() -> Iterator[Stack]:
    # Every charge is reviewed, so that the person is in Temporal too.
    with own_stack(*PARTS, fraud_review_threshold=0.0001) as settings:
        words = ("simulate", "--events", "500", "--seed", "3", "--malformed", "0.03")
        assert commands.call(settings, *words).returncode == 0
        stack = Stack(settings, [])
        assert commands.call(settings, "audit", "--through", "bronze").returncode == 0
        dismiss = "dlq", "dismiss", "--since", "30d", "--note", "test", "--by", "test"
        assert commands.call(settings, *dismiss).returncode == 0
        stack.load()
        stack.people = [customer for (customer,) in stack.ask(PEOPLE)]
        yield stack


def test_the_person_is_gone_everywhere_and_the_totals_stay(stack_of_people: Stack) -> None:
    stack = stack_of_people
    person, neighbour = stack.people.pop(), stack.people[0]
    before, beside = stack.totals(), stack.rows_of(neighbour)
    assert beside
    rows = stack.ask("SELECT count(*) FROM payment_events WHERE customer_id = %s", person)
    known = stack.search_with_review(person)
    cache = superset.cache(stack.settings)
    cache.mkdir(parents=True)
    (cache / "an answer").write_bytes(pickle.dumps([neighbour, person]))

    proof = stack.forget(person)

    places = {place.split()[0] for place in proof.found}
    assert places == {"topic", "workflows", "bronze", "lake"}, proof.found
    assert {"lake marts.fct_payment_events", "lake superset/cache"} <= proof.found.keys()
    assert not [*cache.iterdir()]
    assert proof.left == {}
    assert not stack.search(person).counts()
    assert stack.totals() == before
    stack.settle()
    # One token for all their rows, and nothing that leads back.
    told = stack.ask("SELECT customer_id, count(*) FROM payment_events GROUP BY 1")
    tokens = [(who, n) for who, n in told if who and who.startswith(STAND_IN)]
    assert len(tokens) == 1
    assert tokens[0][1] == rows[0][0]
    said = json.dumps(stack.ask("SELECT e::text FROM erasures AS e"))
    assert not [each for each in (person, *known.person.objects) if each in said]
    assert stack.rows_of(neighbour) == beside, "nobody else is touched"


def test_later_events_about_an_old_payment_get_the_token(stack_of_people: Stack) -> None:
    stack = stack_of_people
    person = stack.people.pop()
    ((payment,), *_) = stack.ask(
        "SELECT payment_id FROM payment_events WHERE customer_id = %s AND kind = 'charge'", person
    )
    stack.forget(person)
    charge = example("charge", payment_intent=payment, customer=person, id="ch_later")
    stack.send("charge.refunded", charge, "evt_later")
    stack.send("customer.updated", example("customer", id=person), "evt_alone")
    stack.settle()

    ((token, attributes),) = stack.ask(
        "SELECT customer_id, attributes FROM payment_events WHERE event_id = 'evt_later'"
    )
    assert token.startswith(STAND_IN)
    assert "card_hash" not in attributes.get("payment_method", {})
    known = stack.ask(
        "SELECT DISTINCT customer_id FROM payment_events WHERE payment_id = %s", payment
    )
    assert known == [(token,)]
    # About the customer alone it is somebody new, who can be erased like anybody.
    assert "bronze payment_events" in stack.search(person).counts()
    assert stack.forget(person).left == {}


def test_people_with_a_longer_id_keep_all_their_data(stack_of_people: Stack) -> None:
    stack = stack_of_people
    person = stack.people.pop()
    longer = f"{person}2", f"x_{person}"
    for customer in longer:
        about = {"payment_intent": f"pi_{customer}", "customer": customer}
        paid = example("charge", id=f"ch_{customer}", **about)
        stack.send("charge.succeeded", paid, f"evt_{customer}")
        odd = example("charge", id=f"ch_{customer}_odd", currency="xxq", **about)
        stack.send("charge.succeeded", odd, f"evt_{customer}_odd")
    stack.settle()
    stack.load()
    before = [stack.rows_of(customer) for customer in longer]
    assert all(len(rows) == 2 for rows in before)
    runs = [stack.search_with_review(customer).runs for customer in longer]
    letters = "SELECT body FROM payment_events_quarantine WHERE event_id = ANY (%s) ORDER BY 1"
    kept = stack.ask(letters, [f"evt_{customer}_odd" for customer in longer])
    assert len(kept) == 2

    assert stack.forget(person).left == {}

    assert [stack.rows_of(customer) for customer in longer] == before
    assert [stack.search_with_review(customer).runs for customer in longer] == runs
    assert stack.ask(letters, [f"evt_{customer}_odd" for customer in longer]) == kept


ODD_IDS = ("jane+spam@example.com", "Zoë Söhne 100%", "00777")
"""Ids that some merchants choose for their customers."""


def test_people_with_any_id_are_gone_from_bodies_too(stack_of_people: Stack) -> None:
    """The raw store has the ids as the merchant wrote them, and JSON may escape them."""
    stack = stack_of_people
    others = [f"{customer}x" for customer in ODD_IDS]
    for number, customer in enumerate((*ODD_IDS, *others)):
        paid = example("charge", id=f"ch_any{number}", payment_intent=None, customer=customer)
        stack.send("charge.succeeded", paid, f"evt_any{number}")
        stack.send("charge.succeeded", {**paid, "currency": "xxq"}, f"evt_odd{number}")
        stack.send(UNMODELLED_TYPE, {"id": f"x_{number}", "customer": customer}, f"evt_un{number}")
        stack.send("customer.updated", example("customer", id=customer), f"evt_cus{number}")
    stack.settle()
    dismiss = "dlq", "dismiss", "--since", "30d", "--note", "test", "--by", "test"
    assert commands.call(stack.settings, *dismiss).returncode == 0
    stack.load()
    texts = raw_texts(stack)
    assert texts >= {*ODD_IDS, *others}
    kept = [stack.rows_of(customer) for customer in others]
    assert all(len(rows) == 4 for rows in kept), kept

    for customer in ODD_IDS:
        proof = stack.forget(customer)
        assert proof.left == {}
        places = {place.split()[0] for place in proof.found}
        assert places >= {"topic", "bronze", "lake"}, (customer, proof.found)

    assert not raw_texts(stack) & {*ODD_IDS}
    stored = [each for customer in ODD_IDS for each in stack.person(customer).customer_ids]
    rows = "SELECT customer_id FROM payment_events WHERE customer_id = ANY (%s)"
    assert stack.ask(rows, stored) == []
    letters = "SELECT event_id FROM payment_events_quarantine WHERE length(body) = 0"
    assert {(f"evt_odd{number}",) for number in range(len(ODD_IDS))} <= {*stack.ask(letters)}
    assert [stack.rows_of(customer) for customer in others] == kept
    stack.settle()


def raw_texts(stack: Stack) -> set[str]:
    """Every text of every body on the topics and in the quarantine."""
    bodies = [body for (body,) in stack.ask("SELECT body FROM payment_events_quarantine")]

    async def read() -> None:
        async for record in every_record(stack.settings):
            bodies.append(record.value)
            if record.topic == DLQ_VALIDATION:
                bodies.append(base64.b64decode(json.loads(record.value)["body"]))

    asyncio.run(read())
    found: set[str] = set()
    for each in bodies:
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(each, object_hook=lambda part: found.update(map(str, part.values())))
    return found


def test_open_dead_letters_must_be_closed_first(stack_of_people: Stack) -> None:
    stack = stack_of_people
    person = stack.people.pop()
    odd = example("charge", id="ch_open", currency="xxq", customer=person)
    stack.send("charge.succeeded", odd, "evt_open")
    stack.settle()
    before = stack.search(person).counts()

    refused = commands.call(stack.settings, "forget", "--customer", person, "--yes")

    assert refused.returncode == 1
    assert "1 open dead letter" in refused.stderr
    assert stack.search(person).counts() == before
    (words,) = re.findall(r"`payments (dlq dismiss [^`]*)`", refused.stderr)
    dismissing = commands.call(stack.settings, *words.split(), "--note", "test", "--by", "test")
    assert "dismissed: 1." in dismissing.stdout
    assert stack.forget(person).left == {}


class CrashError(Exception):
    """The process dies here."""


STEPS: list[tuple[object, str]] = [
    (erased_topics, "apply"),
    (erased_workflows, "delete"),
    (erased_rows, "erase"),
    (WholeLake, "catch_up"),
    (WholeLake, "rebuild"),
]


def test_a_crash_after_any_step_does_no_harm(
    stack_of_people: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call gets one step further than the last; the one that lives ends in the same proof."""
    stack = stack_of_people
    stack.load()
    person, before = stack.people.pop(), stack.totals()
    for owner, step in STEPS:
        with monkeypatch.context() as patched:
            patched.setattr(owner, step, dying_after(getattr(owner, step)))
            with pytest.raises(CrashError):
                stack.forget(person)

    assert stack.forget(person).left == {}
    assert not stack.search(person).counts()
    assert stack.totals() == before
    stack.settle()
    ended = stack.ask("SELECT finished_at IS NOT NULL FROM erasures ORDER BY id DESC LIMIT 6")
    assert ended == [(True,), *[(False,)] * len(STEPS)]


def dying_after(step: Callable[..., Any]) -> Callable[..., Any]:
    def dies(*given: object) -> Awaitable[object]:
        ended = step(*given)
        if not asyncio.iscoroutine(ended):
            raise CrashError
        return awaited(ended)

    async def awaited(ended: Awaitable[object]) -> None:
        await ended
        raise CrashError

    return dies


def test_events_arrive_and_a_load_runs_during_an_erasure(stack_of_people: Stack) -> None:
    stack = stack_of_people
    person = stack.people.pop()
    others = [
        commands.start(stack.settings, "simulate", "--events", "300", "--seed", "4"),
        commands.start(stack.settings, "lake", "load"),
    ]
    proof = stack.forget(person)
    for process in others:
        process.communicate(timeout=commands.CALL_S)
        assert process.returncode == 0
    assert proof.left == {}
    assert commands.call(stack.settings, "audit", "--through", "bronze").returncode == 0
    stack.load()
    stack.settle()
    assert not stack.search(person).counts()


def test_nothing_is_cut_while_bronze_lacks_events(
    stack_of_people: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = stack_of_people
    person = stack.people.pop()
    before = stack.search(person).counts()
    # What the ledger finds on the topics and not in bronze, whatever the stages say of themselves.
    monkeypatch.setattr(erasure, "STORED_WITHIN_S", 1.0)
    for name in ("events_received", "events_by_hash"):
        monkeypatch.setitem(ledger_tables.SQL, name, f"{ledger_tables.SQL[name]} AND false")
    with pytest.raises(UserError, match="nothing was deleted"):
        stack.forget(person)
    monkeypatch.undo()
    assert stack.search(person).counts() == before


def test_the_command_lists_the_locations_and_asks_first(stack_of_people: Stack) -> None:
    stack = stack_of_people
    person = stack.people.pop()
    told = commands.call(stack.settings, "forget", "--customer", person, "--dry-run", "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)["found"]
    assert found == stack.search(person).counts()
    # Nobody answers: nothing happens.
    asked = subprocess.run(
        [commands.PAYMENTS, "forget", "--customer", person],
        env=commands.environment(stack.settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=commands.CALL_S,
        check=False,
    )
    assert asked.returncode == 1
    assert stack.search(person).counts() == found


def test_the_second_of_two_erasures_is_refused(stack_of_people: Stack) -> None:
    stack = stack_of_people

    async def one() -> None:
        async with erasure_run.opened(stack.settings, None):
            pass

    async def both() -> None:
        async with erasure_run.opened(stack.settings, None):
            await one()

    with pytest.raises(UserError, match="Another erasure"):
        asyncio.run(both())
    # The one that was there is done, so the place is free.
    asyncio.run(one())


@pytest.fixture
def marts(stack_of_people: Stack) -> Iterator[None]:
    """All that dbt builds, in the place of the one statement; gone at the end."""
    settings = stack_of_people.settings
    stack_of_people.load()
    # The schema too: the catalog takes no view where it had a table.
    ask_trino(settings, "DROP SCHEMA marts CASCADE")
    try:
        rebuild(settings)
        yield
    finally:
        for schema in ("staging", "intermediate", "marts"):
            ask_trino(settings, f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        build_mart(settings)


@pytest.mark.usefixtures("marts")
@pytest.mark.timeout(900)
def test_the_command_erases_all_models_of_dbt(stack_of_people: Stack) -> None:
    stack = stack_of_people
    person = stack.people.pop()
    kept = (
        "SELECT currency, count(*), count(DISTINCT customer_key), sum(net_amount)"
        " FROM marts.fct_payments GROUP BY 1 ORDER BY 1"
    )
    members = f"SELECT count(*) FROM marts.dim_customer WHERE customer_id = '{person}'"
    before = ask_trino(stack.settings, kept)
    assert ask_trino(stack.settings, members) != [[0]]
    keys = f"SELECT customer_key FROM marts.dim_customer WHERE customer_id = '{person}'"
    names = stack.search(person).person.names
    assert {key for (key,) in ask_trino(stack.settings, keys)} <= {*names}

    done = commands.call(stack.settings, "forget", "--customer", person, "--yes", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    places = {place for place in told["found"] if place.startswith("lake ")}
    assert {"lake marts.dim_customer", "lake marts.fct_payments"} <= places
    assert {"lake intermediate.int_payment_events", "lake data.payment_events"} <= places
    assert told["left"] == {}
    assert not stack.search(person).counts()
    assert ask_trino(stack.settings, members) == [[0]]
    assert ask_trino(stack.settings, kept) == before
    stack.settle()


@pytest.mark.parametrize(
    ("lock", "named"),
    [(refold.lock, "replay"), (dead_letter_clients.alone, "redrive")],
    ids=["replay", "redrive"],
)
def test_replays_and_redrives_are_refused_during_an_erasure(
    stack_of_people: Stack, lock: Callable[[Any], AbstractAsyncContextManager[Any]], named: str
) -> None:
    """What read their rows or records before would write them after the proof."""
    settings = stack_of_people.settings

    async def both_ways() -> None:
        async with await postgres.pool(settings) as pool:
            async with lock(pool):
                with pytest.raises(UserError, match=f"A {named} is at work"):
                    async with erasure_run.opened(settings, None):
                        pass
                async with erasure_run.opened(settings, None, dry_run=True):
                    pass
            async with erasure_run.opened(settings, None):
                with pytest.raises(UserError, match=f"Another {named}.* or an erasure"):
                    async with lock(pool):
                        pass
            async with lock(pool):
                pass

    asyncio.run(both_ways())
