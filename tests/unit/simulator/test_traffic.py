"""The simulated traffic: reproducible, in chronological order, with realistic lifecycles."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any

import orjson
import pytest

from payment_pipeline.providers.stripe.event_types import MODELLED
from payment_pipeline.simulator.actors import API_VERSIONS
from payment_pipeline.simulator.faults import UNMODELLED_TYPES, Faults
from payment_pipeline.simulator.traffic import Period, deliveries, events
from payment_pipeline.simulator.versions import OF_2016, OF_2017
from payment_pipeline.simulator.world import Event

UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
STEPS_MINOR = {"bhd": 10, "kwd": 10, "tnd": 10, "isk": 100, "ugx": 100}
"""Stripe's rules: three-decimal amounts end in 0; ISK and UGX amounts are sent times 100."""
EVERYTHING = Faults(0.1, 0.05, 0.05, 0.05, 0.02)


@pytest.fixture(scope="module")
def made() -> list[Event]:
    return list(events(11, 20_000, Period(UNTIL)))


@pytest.fixture(scope="module")
def parsed(made: list[Event]) -> list[dict[str, Any]]:
    return [orjson.loads(event.body) for event in made]


def digest(seed: int, faults: Faults, until: datetime = UNTIL) -> str:
    sent = deliveries(seed, 2000, Period(until), faults)
    return sha256(b"\n".join(delivery.body for delivery in sent)).hexdigest()


def test_the_same_seed_makes_the_same_bytes() -> None:
    shuffled = Faults(0.1, 0.05, 0.05, 0.05, 0.02, shuffle=True)
    for faults in (Faults(), EVERYTHING, shuffled):
        assert digest(5, faults) == digest(5, faults)
    different = {digest(5, EVERYTHING), digest(6, EVERYTHING), digest(5, Faults())}
    assert len(different | {digest(5, EVERYTHING, UNTIL - timedelta(days=1))}) == 4


def test_the_bytes_do_not_depend_on_the_process() -> None:
    """Fails if a body depends on the clock, on the hash seed or on the order of a set."""
    expected = "c1e363428ebffd65cf3210b5b120f413f482425d04f587f4569a83e6f200d6e8"
    assert digest(5, EVERYTHING) == expected, (
        "the traffic changed: if on purpose, put the new digest here"
    )


def test_faults_do_not_change_the_genuine_events() -> None:
    plain = {delivery.body for delivery in deliveries(5, 1000, Period(UNTIL), Faults())}
    faulty = {delivery.body for delivery in deliveries(5, 1000, Period(UNTIL), EVERYTHING)}
    assert plain < faulty


@pytest.mark.parametrize("count", [1, 7, 500])
def test_the_count_of_events_is_exact(count: int) -> None:
    assert len(list(events(1, count, Period(UNTIL, days=3)))) == count


def test_events_are_unique_in_order_and_within_the_period(made: list[Event]) -> None:
    assert len({event.event_id for event in made}) == len(made)
    assert all(one.created <= next_.created for one, next_ in pairwise(made))
    assert made[0].created >= (UNTIL - timedelta(days=90)).timestamp()
    assert made[-1].created <= UNTIL.timestamp()
    assert made[-1].created >= (UNTIL - timedelta(days=20)).timestamp()


def test_id_type_and_time_equal_those_in_the_body(
    made: list[Event], parsed: list[dict[str, Any]]
) -> None:
    for event, body in zip(made, parsed, strict=True):
        assert (event.event_id, event.type, event.created) == (
            body["id"],
            body["type"],
            body["created"],
        )


def test_live_mode_is_in_every_object() -> None:
    for event in events(1, 1500, Period(UNTIL, livemode=True)):
        of_mode, other = b'"livemode":true', b'"livemode":false'
        if b'"id":"member-' in event.body and other in event.body:
            of_mode, other = other, of_mode  # the customer with the same id in test mode
        assert of_mode in event.body
        assert other not in event.body


def test_traffic_covers_many_types_versions_and_accounts(parsed: list[dict[str, Any]]) -> None:
    types = {event["type"] for event in parsed}
    families = {kind.rpartition(".")[0] for kind in types}
    assert families >= {
        "payment_intent",
        "charge",
        "charge.dispute",
        "refund",
        "payout",
        "invoice",
        "customer",
        "customer.subscription",
        "radar.early_fraud_warning",
        "review",
    }
    assert len(types) >= 50
    assert types >= UNMODELLED_TYPES
    unmodelled = types - MODELLED.keys()
    assert unmodelled == UNMODELLED_TYPES, (
        "UNMODELLED_TYPES in simulator/faults.py must list the types without a model in Stripe's "
        f"event_types.py. These are in only one: {sorted(unmodelled ^ UNMODELLED_TYPES)}"
    )
    versions = {event["api_version"] for event in parsed}
    assert versions == {*API_VERSIONS, OF_2016, OF_2017}
    accounts = {event.get("account") for event in parsed}
    assert None in accounts
    assert len(accounts) > 10


def test_stripe_accepts_every_amount(parsed: list[dict[str, Any]]) -> None:
    seen = set()
    for event in parsed:
        thing = event["data"]["object"]
        amount, currency = thing.get("amount"), thing.get("currency")
        if amount is None or currency is None or thing["object"] == "balance_transaction":
            continue
        seen.add(currency)
        step = STEPS_MINOR.get(currency, 1)
        if thing["object"] == "payout" and currency in {"huf", "twd"}:
            step = 100
        assert amount % step == 0, f"{amount} {currency}"
    assert seen >= {"usd", "eur", "jpy", "krw", "bhd", "kwd", "isk", "ugx", "huf"}


def test_a_payments_events_are_in_stripes_order(parsed: list[dict[str, Any]]) -> None:
    histories: dict[str, list[str]] = defaultdict(list)
    for event in parsed:
        if event["type"].startswith("payment_intent."):
            histories[event["data"]["object"]["id"]].append(event["type"].partition(".")[2])
    for history in histories.values():
        assert history[0] == "created"
        assert not {"created", "succeeded", "canceled"} & set(history[1:-1])


def test_a_disputes_events_are_in_stripes_order(parsed: list[dict[str, Any]]) -> None:
    order = ("created", "funds_withdrawn", "updated", "closed", "funds_reinstated")
    histories: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in parsed:
        if event["type"].startswith("charge.dispute."):
            histories[event["data"]["object"]["id"]].append(event)
    closed = 0
    for history in histories.values():
        steps = [event["type"].rpartition(".")[2] for event in history]
        decided = steps.index("closed") if "closed" in steps else len(steps)
        is_reopened = "updated" in steps[decided:]
        if not is_reopened:
            assert steps == [step for step in order if step in steps]
        last = history[-1]["data"]["object"]
        nets = [movement["net"] for movement in last["balance_transactions"]]
        if "closed" in steps and not is_reopened:
            closed += 1
            assert last["status"] in {"won", "lost", "warning_closed"}
            reinstated = len(nets) == 2
            assert len(nets) in {"won": {2}, "lost": {1, 2}, "warning_closed": {0}}[last["status"]]
            assert (sum(nets) < 0) or not nets, "the dispute fee was given back"
            assert ("funds_reinstated" in steps) == reinstated
    assert closed > 10


def test_rings_share_cards_across_customers(parsed: list[dict[str, Any]]) -> None:
    customers: dict[str, set[str]] = defaultdict(set)
    for event in parsed:
        if event["type"] in {"charge.succeeded", "charge.failed"}:
            charge = event["data"]["object"]
            card = charge["payment_method_details"]["card"]
            customers[card["fingerprint"]].add(charge["customer"])
    assert sum(len(names) > 3 for names in customers.values()) >= 3


def test_declines_have_a_reason_and_an_advice(parsed: list[dict[str, Any]]) -> None:
    seen = set()
    for event in parsed:
        if event["type"] == "payment_intent.payment_failed":
            error = event["data"]["object"]["last_payment_error"]
            assert error["type"] == "card_error"
            seen.add((error["decline_code"], error["advice_code"], error["network_advice_code"]))
    assert {code for code, _, _ in seen} >= {"insufficient_funds", "stolen_card", "expired_card"}
    assert {advice for _, advice, _ in seen} >= {
        "try_again_later",
        "do_not_try_again",
        "confirm_card_data",
    }
    assert {"01", "03"} <= {network for _, _, network in seen}
