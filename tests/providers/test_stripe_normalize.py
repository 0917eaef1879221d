"""Stripe's events of several API versions, with odd and invalid values."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from payment_pipeline.domain.events import EventBase
from payment_pipeline.domain.failures import FailureClass, Rejected, Unmodelled
from payment_pipeline.domain.personal_data import pseudonym
from payment_pipeline.providers.stripe.normalize import ERRORS_MAX
from payment_pipeline.providers.stripe.normalize import normalize as stripe_normalize
from support.pairs import CONTEXT, normalize, raw_event
from support.personal_texts import NAMES_WITHOUT_A_SPACE, PERSONAL_TEXTS
from support.stripe_bodies import body, event, example
from support.stripe_events import fields, rejected
from support.unmodelled import UNMODELLED_TYPE

# --- fields that moved between API versions -----------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        {"latest_charge": "ch_1"},
        {"latest_charge": {"id": "ch_1", "object": "charge"}},
        {"charges": {"object": "list", "data": [{"id": "ch_1"}, {"id": "ch_0"}]}},
        {"last_payment_error": {"charge": "ch_1", "code": "card_declined"}},
    ],
)
def test_a_payments_charge_is_found_in_every_version(where: dict[str, Any]) -> None:
    intent = example("payment_intent", **where)
    assert fields("payment_intent.succeeded", intent)["charge_id"] == "ch_1"


@pytest.mark.parametrize(
    "where",
    [
        {"subscription": "sub_1", "parent": None},
        {"subscription": {"id": "sub_1", "object": "subscription"}, "parent": None},
        {"parent": {"subscription_details": {"subscription": "sub_1"}}},
        {"parent": {"subscription_details": {"subscription": {"id": "sub_1"}}}},
    ],
)
def test_an_invoices_subscription_is_found_in_every_version(where: dict[str, Any]) -> None:
    assert fields("invoice.paid", example("invoice", **where))["subscription_id"] == "sub_1"


@pytest.mark.parametrize(
    ("where", "payment_id"),
    [
        ({"payment_intent": "pi_1", "charge": "ch_1"}, "pi_1"),
        ({"payment_intent": None, "charge": "ch_1"}, "ch_1"),
        ({"payments": {"data": [{"payment": {"payment_intent": "pi_1"}}]}}, "pi_1"),
        ({"payments": {"data": [{"payment": {"charge": "ch_1"}}]}}, "ch_1"),
        ({"payments": {"data": []}}, None),
    ],
)
def test_an_invoices_payment_is_found_in_every_version(
    where: dict[str, Any], payment_id: str | None
) -> None:
    assert fields("invoice.paid", example("invoice", **where)).get("payment_id") == payment_id


def test_a_subscriptions_period_is_its_own_or_its_first_ending_items() -> None:
    items = {
        "data": [
            {"current_period_start": 1_700_000_000, "current_period_end": 1_710_000_000},
            {"current_period_start": 1_690_000_000, "current_period_end": 1_700_000_000},
        ]
    }
    moved = fields("customer.subscription.updated", example("subscription", items=items))
    assert moved["current_period_end_at"] == "2023-11-14T22:13:20Z"
    assert moved["current_period_start_at"] == "2023-07-22T04:26:40Z"

    before = example("subscription", items=items, current_period_end=1_720_000_000)
    assert (
        fields("customer.subscription.updated", before)["current_period_end_at"]
        == "2024-07-03T09:46:40Z"
    )


def subscription_sum(*items: dict[str, Any], has_more: bool = False) -> int | None:
    found = example("subscription", items={"data": list(items), "has_more": has_more})
    amount: int | None = fields("customer.subscription.updated", found).get("amount_minor")
    return amount


def test_a_subscriptions_amount_is_the_sum_of_its_items_if_known() -> None:
    price = {"price": {"unit_amount": 500, "recurring": {"interval": "month"}}, "quantity": 3}
    plan = {"plan": {"amount": 700, "interval": "month"}, "quantity": 1}
    fraction = {"price": {"unit_amount": None, "unit_amount_decimal": "0.5"}, "quantity": 3}
    metered = {"price": {"unit_amount": 9, "recurring": {"usage_type": "metered"}}}
    dozens = {
        "price": {"unit_amount": 100, "transform_quantity": {"divide_by": 12, "round": "up"}},
        "quantity": 13,
    }
    tiered = {"price": {"unit_amount": None, "billing_scheme": "tiered"}, "quantity": 1}
    vast = {"price": {"unit_amount": 2**62}, "quantity": 3}

    assert subscription_sum(price, plan) == 2200
    assert subscription_sum(fraction) == 2  # 1.5, halves up
    assert subscription_sum(metered, price) == 1500
    assert subscription_sum(dozens) == 200
    assert subscription_sum(tiered, price) is None
    assert subscription_sum(price, has_more=True) is None
    assert subscription_sum() is None
    assert rejected(
        body("customer.subscription.updated", example("subscription", items={"data": [vast]}))
    ) == (FailureClass.INVALID, {"data.object.items"})


def every(
    interval: str, count: int = 1, amount: int | None = 1000, usage: str = "licensed"
) -> dict[str, Any]:
    recurring = {"interval": interval, "interval_count": count, "usage_type": usage}
    return {"price": {"unit_amount": amount, "recurring": recurring}, "quantity": 1}


@pytest.mark.parametrize(
    ("items", "billed"),
    [
        ([every("month"), every("month")], (2000, "month", 1)),
        ([every("month"), every("year")], (None, None, None)),
        ([every("month"), every("month", 3)], (None, None, None)),
        ([every("month"), every("year", amount=0)], (1000, "month", 1)),
        ([every("month", usage="metered"), every("year")], (1000, "year", 1)),
        ([every("month", amount=0), every("year", amount=0)], (0, "month", 1)),
        ([every("month"), every("year", amount=None)], (None, None, None)),
    ],
)
def test_a_subscription_with_two_intervals_has_no_sum(
    items: list[dict[str, Any]], billed: tuple[int | None, str | None, int | None]
) -> None:
    """A yearly and a monthly amount have no sum. An item without an amount doesn't count."""
    read = fields("customer.subscription.updated", example("subscription", items={"data": items}))
    assert tuple(map(read.get, ("amount_minor", "interval", "interval_count"))) == billed


def test_a_subscription_without_a_currency_has_the_currency_of_its_items() -> None:
    found = example("subscription", items={"data": [{"plan": {"amount": 1, "currency": "mga"}}]})
    del found["currency"]
    read = fields("customer.subscription.updated", found)
    assert (read["currency"], read["currency_exponent"]) == ("MGA", 0)


@pytest.mark.parametrize(
    "where",
    [
        {"coupon": "c"},
        {"coupon": {"id": "c"}},
        {"source": {"coupon": "c"}},
        {"source": {"coupon": {"id": "c"}}},
    ],
)
def test_a_discounts_coupon_is_found_in_every_version(where: dict[str, Any]) -> None:
    read = fields("customer.discount.created", {"id": "di_1", "object": "discount", **where})
    assert read["coupon_id"] == "c"
    customer = example("customer", discount={"id": "di_1", **where})
    assert fields("customer.updated", customer)["coupon_id"] == "c"


# --- nulls, ids, money ----------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, "", "null"])
def test_every_form_of_null_is_null(nothing: object) -> None:
    charge = example("charge", customer=nothing, payment_intent=nothing, invoice=nothing)
    read = fields("charge.succeeded", charge, account=nothing)
    assert {"customer_id", "invoice_id", "merchant_id"}.isdisjoint(read)
    assert read["payment_id"] == read["object_id"]


@pytest.mark.parametrize(
    "customer",
    ["cus_1", {"id": "cus_1", "object": "customer"}, {"id": "cus_1", "deleted": True}],
)
def test_an_id_may_be_an_object_expanded_or_deleted(customer: object) -> None:
    read = fields("charge.succeeded", example("charge", customer=customer))
    assert read["customer_id"] == "cus_1"


def test_the_merchant_is_the_connected_account() -> None:
    assert fields("charge.succeeded", example("charge"), account="acct_1")["merchant_id"] == (
        "acct_1"
    )


@pytest.mark.parametrize(
    ("code", "exponent"),
    [
        ("usd", 2),
        ("jpy", 0),
        ("isk", 2),
        ("ugx", 2),
        ("mga", 0),
        ("kwd", 3),
        ("huf", 2),
        ("twd", 2),
    ],
)
def test_the_exponent_is_that_of_stripe(code: str, exponent: int) -> None:
    read = fields("charge.succeeded", example("charge", currency=code))
    assert (read["currency"], read["currency_exponent"]) == (code.upper(), exponent)


@pytest.mark.parametrize("code", ["zzz", "xxx", "xau", "USD", "usdc", "us", "\u0131dr"])
def test_an_unknown_currency_has_its_own_failure(code: str) -> None:
    assert rejected(body("charge.succeeded", example("charge", currency=code))) == (
        FailureClass.UNKNOWN_CURRENCY,
        {"data.object.currency"},
    )


@pytest.mark.parametrize(
    "amount", [1.0, "100", True, [], {}, 2**63, -(2**63) - 1, 2**64, None, "", 10**30]
)
def test_an_amount_is_an_integer_that_fits(amount: object) -> None:
    assert rejected(body("charge.succeeded", example("charge", amount=amount))) == (
        FailureClass.INVALID,
        {"data.object.amount"},
    )


@pytest.mark.parametrize("amount", [2**63 - 1, -(2**63), 0])
def test_an_amount_up_to_the_limit_of_a_bigint_passes(amount: int) -> None:
    assert fields("payout.paid", example("payout", amount=amount))["amount_minor"] == amount


def test_the_times_are_utc_and_distinct() -> None:
    ended = stripe_normalize(raw_event(body("charge.succeeded", example("charge"))), CONTEXT)
    assert isinstance(ended, EventBase)
    assert ended.occurred_at == datetime(2025, 6, 15, 15, 6, 40, tzinfo=UTC)
    assert ended.received_at == raw_event(b"").received_at


@pytest.mark.parametrize("created", [-1, 253_402_300_800, 2**63, 1e20, "1750000000", None, True])
def test_a_time_out_of_range_is_invalid(created: object) -> None:
    assert rejected(body("charge.succeeded", example("charge"), created=created)) == (
        FailureClass.INVALID,
        {"created"},
    )


# --- what must not pass ---------------------------------------------------------------------------


def test_every_error_is_listed_with_its_path() -> None:
    charge = example("charge", amount="1", currency="zzz", captured="yes", status=["failed"])
    charge["outcome"] = {"risk_score": -1}
    charge["payment_method_details"] = {"type": "card", "card": {"checks": {"cvc_check": 1}}}
    assert rejected(body("charge.succeeded", charge, livemode="false", account={})) == (
        FailureClass.INVALID,
        {
            "livemode",
            "account",
            "data.object.amount",
            "data.object.currency",
            "data.object.captured",
            "data.object.status",
            "data.object.outcome.risk_score",
            "data.object.payment_method_details.card.checks.cvc_check",
        },
    )


def test_a_list_of_wrong_items_names_the_item_and_ends() -> None:
    found = example("subscription", items={"data": [{"quantity": 1}, 7]})
    assert rejected(body("customer.subscription.updated", found)) == (
        FailureClass.INVALID,
        {"data.object.items.data.1"},
    )
    flood = normalize(
        body("customer.subscription.updated", example("subscription", items={"data": [0] * 9999}))
    )
    assert isinstance(flood, Rejected)
    assert len(flood.errors) <= 100


def test_an_error_of_the_model_names_its_field() -> None:
    raw = raw_event(body("charge.succeeded", example("charge")))
    ended = stripe_normalize(raw._replace(traceparent="0" * 999), CONTEXT)
    assert isinstance(ended, Rejected)
    assert [error.path for error in ended.errors] == ["traceparent"]
    assert ended.errors[0].message.startswith("String should have at most 255")


def test_an_error_names_no_value() -> None:
    card_number = "4242424242424242"
    charge = example("charge", captured=card_number, currency=card_number, amount=card_number)
    ended = normalize(body("charge.succeeded", charge))
    assert isinstance(ended, Rejected)
    assert card_number not in str(ended)


@pytest.mark.parametrize("data", [None, [], "x", {}, {"object": None}, {"object": {}}])
def test_a_modelled_event_without_its_object_is_invalid(data: object) -> None:
    failure, paths = rejected(body("charge.succeeded", {}, data=data))
    assert failure is FailureClass.INVALID
    assert "data.object" in paths


def test_an_object_needs_its_id_unless_its_kind_has_none() -> None:
    assert rejected(body("invoice.paid", example("invoice", id=""))) == (
        FailureClass.INVALID,
        {"data.object.id"},
    )
    upcoming = example("invoice")
    del upcoming["id"]
    assert "object_id" not in fields("invoice.upcoming", upcoming)


@pytest.mark.parametrize("object_", [[], {}, 1, "null", None, ""])
@pytest.mark.parametrize("name", ["id", "type"])
def test_a_body_without_an_id_or_a_type_is_unparseable(name: str, object_: object) -> None:
    failure, paths = rejected(body("charge.succeeded", example("charge"), **{name: object_}))
    assert (failure, paths) == (FailureClass.UNPARSEABLE, {name})


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"null",
        b"[]",
        b'"evt"',
        b"{",
        b"\xff\xfe",
        b'{"id":"e","type":"charge.succeeded","created":NaN}',
        b'{"id":"e","type":"charge.succeeded","created":1e999}',
        b'{"id":"e","type":"charge.succeeded","created":' + b"9" * 5000 + b"}",
        b'{"id":"\\ud800","type":"charge.succeeded"}',
        b'{"id":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"id":"e\x00","type":"charge.succeeded"}',
    ],
    ids=lambda sent: repr(sent[:50]),
)
def test_a_body_that_is_no_json_object_is_unparseable(sent: bytes) -> None:
    assert rejected(sent) == (FailureClass.UNPARSEABLE, {""})


def test_nul_in_any_field_is_unstorable_with_its_path() -> None:
    shipping = {"list": ["ok", "\0"], "k\0": "v"}
    charge = example("charge", description="a\0b", shipping=shipping)
    assert rejected(body("charge.succeeded", charge)) == (
        FailureClass.UNSTORABLE_TEXT,
        {"data.object.description", "data.object.shipping.*", "data.object.shipping.list.1"},
    )
    # Of a type that no model covers too: its body goes to PostgreSQL like any dead letter's.
    assert rejected(body(UNMODELLED_TYPE, {"id": "\0"}))[0] is FailureClass.UNSTORABLE_TEXT


@pytest.mark.parametrize("key", ["jane@example.com", "Jane Roe", "jane"])
def test_a_path_contains_no_key_of_the_merchant(key: str) -> None:
    charge = example("charge", metadata={key: {"deeper": ["\0"]}})
    failure, paths = rejected(body("charge.succeeded", charge))
    assert failure is FailureClass.UNSTORABLE_TEXT
    assert paths == {"data.object.metadata.*.*.0"}


@pytest.mark.parametrize("text", [*PERSONAL_TEXTS, *NAMES_WITHOUT_A_SPACE])
def test_an_id_that_may_identify_a_person_becomes_a_pseudonym(text: str) -> None:
    charge = fields("charge.succeeded", example("charge", customer=text))
    customer = fields("customer.updated", example("customer", id=text))
    assert charge["customer_id"] == pseudonym(text, CONTEXT.pseudonym_key)
    assert charge["customer_id"] == customer["customer_id"] == customer["object_id"]


@pytest.mark.parametrize("text", PERSONAL_TEXTS)
def test_free_text_in_the_place_of_a_code_is_dropped(text: str) -> None:
    error = {
        "code": text,
        "decline_code": text,
        "advice_code": "try_again_later",
        "network_decline_code": text,
        "network_advice_code": text,
    }
    risk = {"network_decline_code": text, "reason": text, "risk_level": text, "type": text}
    intent = example("payment_intent", last_payment_error=error, cancellation_reason=text)
    charge = example("charge", failure_code=text, outcome=risk)
    assert fields("payment_intent.payment_failed", intent)["decline"] == {
        "advice_code": "try_again_later"
    }
    assert fields("charge.failed", charge).keys().isdisjoint({"decline", "risk"})


def test_the_name_of_a_coupon_stays_and_other_text_does_not() -> None:
    def coupon(name: str) -> str:
        found = fields("customer.discount.created", example("discount", coupon=name, source=None))
        return str(found["coupon_id"])

    for name in ("HALF4EVER", "summer-sale_24", "gold"):
        assert coupon(name) == name
    for text in PERSONAL_TEXTS:
        assert coupon(text) == pseudonym(text, CONTEXT.pseudonym_key)


@pytest.mark.parametrize(
    "custom", ["member-77", "user12345", "8b2f4e1c-77aa-4c6e-9f3d-0a1b2c3d4e5f"]
)
def test_a_custom_id_that_identifies_nobody_stays(custom: str) -> None:
    assert fields("customer.updated", example("customer", id=custom))["customer_id"] == custom


@pytest.mark.parametrize("wrong", [*PERSONAL_TEXTS, "evt 1", ""])
def test_an_event_without_an_id_of_an_event_is_rejected(wrong: str) -> None:
    assert rejected(body("charge.succeeded", example("charge"), id=wrong))[1] == {"id"}


def test_text_that_only_looks_like_nul_passes() -> None:
    found = example("charge", description="a literal \\u0000, escaped")
    assert "\\u0000" in body("charge.succeeded", found).decode()
    assert fields("charge.succeeded", found)["object_id"] == found["id"]


def test_nul_is_found_deeper_than_pythons_stack_and_paths_are_limited() -> None:
    deep: Any = "\0"
    for _ in range(1000):
        deep = {"a" * 50: deep}
    sent = json.dumps(event("charge.succeeded", {})).replace(
        '"object": {}', f'"deep": {_dumps(deep)}'
    )
    ended = normalize(sent.encode())
    assert isinstance(ended, Rejected)
    assert ended.failure is FailureClass.UNSTORABLE_TEXT
    assert len(ended.errors[0].path) <= 1000

    many = normalize(body("charge.succeeded", {"list": ["\0"] * 1000}))
    assert isinstance(many, Rejected)
    assert len(many.errors) == ERRORS_MAX


def _dumps(deep: object) -> str:
    """Like `json.dumps`, which can't write such a depth."""
    opened = []
    while isinstance(deep, dict):
        ((key, deep),) = deep.items()
        opened.append(f'{{"{key}": ')
    return "".join(opened) + '"\\u0000"' + "}" * len(opened)


@pytest.mark.parametrize("event_type", ["charge.dispute.escalated", "no.such", "x", "a.b.c"])
def test_a_genuine_event_without_a_model_is_unmodelled(event_type: str) -> None:
    assert normalize(body(event_type, {"id": "x"})) == Unmodelled(event_type)


# --- what identifies a person ---------------------------------------------------------------------


def test_a_card_hash_is_equal_across_events_and_differs_across_keys() -> None:
    sent = raw_event(body("charge.succeeded", example("charge")))
    ours = stripe_normalize(sent, CONTEXT)
    theirs = stripe_normalize(sent, CONTEXT._replace(pseudonym_key=b"another"))
    card = example("card")
    expiring = fields("customer.source.expiring", card)["payment_method"]["card_hash"]

    assert ours.payment_method.card_hash == expiring  # type: ignore[union-attr]
    assert ours.payment_method.card_hash != theirs.payment_method.card_hash  # type: ignore[union-attr]
    assert card["fingerprint"] not in str(ours)


def test_no_personal_data_passes() -> None:
    canary = "canary@example.com"
    person = {
        "name": canary,
        "email": canary,
        "phone": canary,
        "line1": canary,
        "postal_code": canary,
        "ip_address": canary,
        "metadata": {"note": canary},
        "description": canary,
        "receipt_email": canary,
        "value": canary,
        "customer_email": canary,
        "statement_descriptor": canary,
    }
    for event_type, resource in (
        ("charge.succeeded", "charge"),
        ("payment_intent.succeeded", "payment_intent"),
        ("customer.updated", "customer"),
        ("customer.tax_id.created", "tax_id"),
        ("customer.source.created", "card"),
        ("invoice.paid", "invoice"),
        ("review.opened", "review"),
    ):
        found = example(resource, **person, billing_details=person, shipping=person)
        if resource == "customer":
            found["address"] = {**person, "country": "DE"}
        assert canary not in str(fields(event_type, found))
