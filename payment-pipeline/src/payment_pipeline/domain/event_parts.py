"""The parts of events: payment method, decline, risk, and the values before the event."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict
from pydantic_core import InitErrorDetails, PydanticCustomError

from .declines import DeclineClass, DeclineReason
from .event_fields import Code, Count, ExactMinor, MinorUnits


class Part(BaseModel):
    """The base of every part of an event: immutable, with no field beyond its schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Previous(Part):
    """Values of the same object just before the event. `None`: unchanged, or not said."""

    status: Code | None = None
    amount_refunded_minor: MinorUnits | None = None
    amount_captured_minor: MinorUnits | None = None
    monthly_amount_minor: ExactMinor | None = None
    is_collection_paused: bool | None = None
    cancel_at_period_end: bool | None = None
    delinquent: bool | None = None
    country: Code | None = None


class Decline(Part):
    """The provider's and the card network's reasons for a failed attempt."""

    reason: DeclineReason | None = None
    """The provider-neutral reason (`domain.declines`)."""
    decline_class: DeclineClass | None = None
    """The class of `reason`."""
    code: Code | None = None
    decline_code: Code | None = None
    advice_code: Code | None = None
    """Stripe: confirm_card_data, do_not_try_again, try_again_later."""
    network_decline_code: Code | None = None
    """The network's response code, e.g. Visa `51`."""
    network_advice_code: Code | None = None
    """Mastercard's merchant advice code, e.g. `03`."""


class PaymentMethod(Part):
    """The payment method, without anything that identifies a person."""

    type: Code | None = None
    brand: Code | None = None
    network: Code | None = None
    funding: Code | None = None
    country: Code | None = None
    wallet: Code | None = None
    card_hash: Code | None = None
    """Keyed hash of the provider's card fingerprint. Equal cards have equal hashes."""
    cvc_check: Code | None = None
    postal_code_check: Code | None = None
    three_d_secure: Code | None = None


class Risk(Part):
    """The provider's risk assessment (Stripe Radar)."""

    level: Code | None = None
    score: Count | None = None
    outcome_type: Code | None = None
    reason: Code | None = None


def errors_of(lacking: Mapping[str, str]) -> list[InitErrorDetails]:
    """An error for each missing field, with its path, from its name and what requires it."""
    return [
        InitErrorDetails(
            type=PydanticCustomError("missing", "is required for {subject}", {"subject": subject}),
            loc=(name,),
            input=None,
        )
        for name, subject in lacking.items()
    ]
