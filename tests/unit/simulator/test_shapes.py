"""Every simulated object has the shape of Stripe's example object of its kind.

The rule: an object has every key of the example, at every depth, with the example's JSON type. Null
is allowed where the example is null, and at the paths below. At these paths Stripe's API declares
the field nullable (`Optional` in stripe-python), and the example contains a placeholder for a rare
case (`canceled_at` on an active subscription).
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pytest

from payment_pipeline.simulator.actors import API_VERSIONS
from payment_pipeline.simulator.traffic import Period, events

EXAMPLES = json.loads(
    (Path(__file__).parents[2] / "providers" / "stripe_objects.json").read_bytes()
)["resources"]

MAY_BE_NULL = {
    "charge": """
        balance_transaction payment_method_details.card.installments
        payment_method_details.card.three_d_secure payment_method_details.card.wallet receipt_url
        source transfer_data
    """,
    "checkout.session": """
        after_expiration collected_information consent consent_collection currency_conversion
        payment_method_configuration_details shipping_address_collection shipping_cost
    """,
    "coupon": "currency duration_in_months percent_off redeem_by",
    "customer": "discount",
    "discount": "end source",
    "invoice": """
        due_date effective_at from_invoice last_finalization_error
        lines.data[].parent.invoice_item_details
        lines.data[].parent.subscription_item_details.proration_details
        next_payment_attempt parent parent.quote_details shipping_cost webhooks_delivered_at
    """,
    "payment_intent": """
        canceled_at last_payment_error next_action payment_method_configuration_details processing
        transfer_data
    """,
    "payment_method": "card.generated_from card.wallet",
    "payout": "trace_id",
    "subscription": """
        billing_cycle_anchor_config billing_thresholds cancel_at canceled_at ended_at
        items.data[].billing_thresholds items.data[].plan.transform_usage
        items.data[].price.custom_unit_amount items.data[].price.transform_quantity
        items.data[].price.unit_amount items.data[].price.unit_amount_decimal
        next_pending_invoice_item_invoice pause_collection pending_invoice_item_interval
        pending_update transfer_data trial_end trial_start
    """,
}
"""Dotted paths by kind. `[]` stands for the elements of a list."""

MAY_BE_MISSING = {"subscription.items.data[].quantity"}
"""A metered item has no quantity."""
MISSING_IN = {
    "2016-03-07": {"subscription.currency", "subscription.items"},
    "2017-08-15": {"charge.amount_captured"},
}
"""Fields that Stripe added after an API version."""


JSON_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
    type(None): "null",
}


def json_type(value: object) -> str:
    return JSON_TYPES[type(value)]


def differences(kind: str, example: object, made: object, path: str = "") -> Iterator[str]:
    """Yield a sentence for each difference between an object and the example."""
    if example is None or (made is None and path in MAY_BE_NULL.get(kind, "").split()):
        return
    if json_type(example) != json_type(made):
        yield f"{kind}.{path} is {json_type(made)}, not {json_type(example)}"
    elif isinstance(example, dict) and isinstance(made, dict):
        for name, value in example.items():
            inner = f"{path}.{name}".lstrip(".")
            if name in made:
                yield from differences(kind, value, made[name], inner)
            else:
                yield f"{kind}.{inner} is missing"
    elif isinstance(example, list) and isinstance(made, list) and example:
        yield from chain.from_iterable(
            differences(kind, example[0], each, f"{path}[]") for each in made
        )


@pytest.fixture(scope="module")
def parsed() -> list[dict[str, Any]]:
    period = Period(datetime(2026, 6, 1, tzinfo=UTC))
    return [orjson.loads(event.body) for event in events(3, 12_000, period)]


def test_every_object_has_the_shape_of_stripes_example(parsed: list[dict[str, Any]]) -> None:
    found: set[str] = set()
    for event in parsed:
        thing = dict(event["data"]["object"])
        if event["type"] == "invoice.upcoming":
            assert "id" not in thing, "a preview has no id"
            thing["id"] = "none"
        kind = thing["object"]
        of_version = MISSING_IN.get(event["api_version"], set()) | MAY_BE_MISSING
        differing = set(differences(kind, EXAMPLES[kind], thing))
        found.update(differing - {f"{path} is missing" for path in of_version})
        if kind == "discount" and "coupon" in thing:
            found.update(differences("coupon", EXAMPLES["coupon"], thing["coupon"]))
        for charge in thing.get("charges", {}).get("data", []):
            found.update(differences("charge", EXAMPLES["charge"], charge))
        for movement in thing.get("balance_transactions", []):
            found.update(
                differences("balance_transaction", EXAMPLES["balance_transaction"], movement)
            )
    assert not found


def test_every_envelope_has_the_shape_of_stripes_example(parsed: list[dict[str, Any]]) -> None:
    example = {name: value for name, value in EXAMPLES["event"].items() if name != "data"}
    for event in parsed:
        assert not list(differences("event", example, event))
        before = event["data"].get("previous_attributes", {})
        after = event["data"]["object"]
        assert before.keys() <= after.keys(), "a previous attribute is not a field of the object"
        if event["type"].endswith(".created"):
            assert "previous_attributes" not in event["data"]


def test_the_check_finds_missing_fields_and_wrong_types(
    parsed: list[dict[str, Any]],
) -> None:
    thing = next(event["data"]["object"] for event in parsed if event["type"] == "charge.succeeded")
    broken = {**thing, "amount": "12", "paid": None}
    del broken["outcome"]
    assert set(differences("charge", EXAMPLES["charge"], broken)) == {
        "charge.amount is string, not number",
        "charge.paid is null, not boolean",
        "charge.outcome is missing",
    }


def of(parsed: list[dict[str, Any]], event_type: str, version: str) -> list[dict[str, Any]]:
    return [
        event["data"]["object"]
        for event in parsed
        if event["type"] == event_type and event["api_version"] == version
    ]


@pytest.mark.parametrize("version", API_VERSIONS)
def test_moved_fields_follow_the_api_version(parsed: list[dict[str, Any]], version: str) -> None:
    basil = version >= "2025-03-31"
    for intent in of(parsed, "payment_intent.succeeded", version):
        assert ("charges" in intent) == (version < "2022-11-15")
        assert (intent["latest_charge"] is None) == (version < "2022-11-15")
        assert ("invoice" in intent) == (not basil)
    invoices = of(parsed, "invoice.paid", version)
    assert invoices
    for invoice in invoices:
        assert (invoice["parent"] is not None) == basil
        assert (invoice["subscription"] is None) == basil
        assert ("payments" in invoice) == basil
        assert not basil or not {"payment_intent", "charge", "paid"} & invoice.keys()
        assert basil or invoice["paid"] is True
    for subscription in of(parsed, "customer.subscription.updated", version):
        assert ("current_period_end" in subscription) == (not basil)
        assert all("current_period_end" in item for item in subscription["items"]["data"])
    assert all("invoice" not in charge for charge in of(parsed, "charge.succeeded", version)) or (
        not basil
    )


def test_email_addresses_are_on_reserved_domains(parsed: list[dict[str, Any]]) -> None:
    for event in parsed:
        if event["type"].startswith("customer.created"):
            domain = event["data"]["object"]["email"].partition("@")[2]
            assert domain in {"example.com", "example.org", "example.net"}


def test_the_shipped_examples_equal_stripes_examples() -> None:
    from payment_pipeline.simulator import shapes

    data = Path(shapes.__file__).with_name("stripe_objects.json")
    shipped = json.loads(data.read_bytes())
    assert shipped == {kind: EXAMPLES[kind] for kind in shipped}
