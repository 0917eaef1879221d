"""Templates of Stripe objects: Stripe's example object of each kind, without its placeholders.

`stripe_objects.json` contains the example objects of Stripe's public OpenAPI repository (MIT) for
the simulated kinds. The examples fill optional fields with placeholders (`"next_action": {"type":
"type"}`, `canceled_at` on an active subscription). The templates have null in these fields. Every
builder starts from a template, so no field of the example is missing.

Templates are shared. Do not change one: make a new object with `{**template(kind), …}`.
"""

from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeAlias

import orjson

Json: TypeAlias = dict[str, Any]
"""One of Stripe's objects."""

_PLACEHOLDERS: Final[dict[str, tuple[str, ...]]] = {
    "charge": ("receipt_url", "source", "transfer_data"),
    "coupon": ("redeem_by",),
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
"""Fields in which the example has a rare value. Stripe allows null in them."""


@cache
def _examples() -> dict[str, Json]:
    read: dict[str, Json] = orjson.loads(
        files(__package__).joinpath("stripe_objects.json").read_bytes()
    )
    for kind, paths in _PLACEHOLDERS.items():
        read[kind] = {**read[kind], **dict.fromkeys(paths)}
    return read


def template(kind: str) -> Json:
    """Return the shared template of a kind. Copy it, do not change it."""
    return _examples()[kind]
