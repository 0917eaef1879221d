"""What does Stripe's example object of each kind look like, when nothing special happened to it?

`stripe_objects.json` holds the example objects of Stripe's public OpenAPI repository (MIT) for the
kinds that are simulated. The examples fill optional parts with placeholders (`"next_action":
{"type": "type"}`, a cancelled active subscription); here those are null, as on an ordinary object.
Every builder starts from a template, so no field of the example can be forgotten.

A template is shared and never changed: builders make a new object with `{**template(kind), …}`.
"""

from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeAlias

import orjson

Json: TypeAlias = dict[str, Any]
"""One of Stripe's objects."""

_PLACEHOLDERS: Final[dict[str, tuple[str, ...]]] = {
    "charge": ("receipt_url", "source", "transfer_data"),
    "customer": ("discount",),
    "invoice": (
        "due_date",
        "effective_at",
        "from_invoice",
        "last_finalization_error",
        "next_payment_attempt",
        "parent",
        "shipping_cost",
        "webhooks_delivered_at",
    ),
    "payment_intent": (
        "canceled_at",
        "last_payment_error",
        "next_action",
        "payment_method_configuration_details",
        "processing",
        "transfer_data",
    ),
    "payout": ("trace_id",),
    "subscription": (
        "billing_cycle_anchor_config",
        "billing_thresholds",
        "cancel_at",
        "canceled_at",
        "ended_at",
        "next_pending_invoice_item_invoice",
        "pause_collection",
        "pending_invoice_item_interval",
        "pending_update",
        "transfer_data",
        "trial_end",
        "trial_start",
    ),
    "checkout.session": (
        "after_expiration",
        "collected_information",
        "consent",
        "consent_collection",
        "currency_conversion",
        "payment_method_configuration_details",
        "shipping_address_collection",
        "shipping_cost",
    ),
}
"""What an example fills in though it mostly doesn't happen. Stripe allows null there."""


@cache
def _examples() -> dict[str, Json]:
    read: dict[str, Json] = orjson.loads(
        files(__package__).joinpath("stripe_objects.json").read_bytes()
    )
    for kind, paths in _PLACEHOLDERS.items():
        read[kind] = {**read[kind], **dict.fromkeys(paths)}
    return read


def template(kind: str) -> Json:
    """The example object of a kind, its placeholders null. Shared: copy, never change."""
    return _examples()[kind]
