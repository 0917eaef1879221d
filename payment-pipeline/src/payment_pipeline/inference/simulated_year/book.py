"""The collection of events of the simulated year."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from payment_pipeline.domain.event_parts import Decline, PaymentMethod, Risk
from payment_pipeline.domain.events import (
    Charge,
    Dispute,
    FraudWarning,
    Payment,
    PaymentEvent,
    Refund,
)
from payment_pipeline.domain.raw import Coordinates

from .people import Card, Customer

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0


class Purchase(NamedTuple):
    """A payment with one or more attempts."""

    payment_id: str
    customer: Customer
    merchant_id: str
    amount_minor: int
    invoice_id: str | None = None


class Book:
    """The events so far. Times are seconds since the year's start. Later events are dropped."""

    def __init__(self, days: int) -> None:
        self.end_s = days * DAY_S
        self._events: list[PaymentEvent] = []
        self._ids = 0

    def in_order(self) -> list[PaymentEvent]:
        """Return the events sorted by time. Events of the same second keep their order."""
        return sorted(self._events, key=lambda event: event.occurred_at)

    def new_id(self, prefix: str) -> str:
        """An id that no other object has."""
        self._ids += 1
        return f"{prefix}_{self._ids}"

    def add(self, kind: type[PaymentEvent], event_type: str, at_s: float, **fields: object) -> None:
        """Add one event. Its time is in whole seconds, as at providers."""
        if not 0 <= at_s < self.end_s:
            return
        at = START + timedelta(seconds=int(at_s))
        common = {
            "provider": "stripe",
            "event_id": self.new_id("evt"),
            "provider_event_type": event_type,
            "event_type": event_type,
            "occurred_at": at,
            "received_at": at,
            "livemode": False,
            "body_sha256": "0" * 64,
            "source": _SOURCE,
            "normalizer_version": "history",
        }
        self._events.append(kind.model_validate(common | fields))

    def start(self, purchase: Purchase, at_s: float) -> None:
        """Add the creation of the payment. The card is not known yet."""
        self.add(Payment, "payment.created", at_s, **_common(purchase), status="created")

    def attempt(
        self, purchase: Purchase, at_s: float, card: Card, risk: int, decline: Decline | None
    ) -> str:
        """Add the charge event and the payment event of an attempt. Return the charge's id."""
        outcome = "succeeded" if decline is None else "failed"
        charge_id = self.new_id("ch")
        self.add(
            Charge,
            f"charge.{outcome}",
            at_s,
            **_common(purchase) | {"object_id": charge_id, "decline": decline},
            payment_method=_method(card),
            risk=Risk(score=risk, level="elevated" if risk >= 65 else "normal"),
            status=outcome,
            amount_captured_minor=purchase.amount_minor if decline is None else 0,
        )
        self.add(
            Payment,
            f"payment.{outcome}",
            at_s,
            **_common(purchase),
            charge_id=charge_id,
            decline=decline,
            status=outcome,
            amount_received_minor=purchase.amount_minor if decline is None else 0,
        )
        return charge_id

    def refund(self, purchase: Purchase, at_s: float) -> None:
        """Add a refund. As at Stripe, the event has no customer."""
        refund_id = self.new_id("re")
        self.add(
            Refund,
            "refund.created",
            at_s,
            **_after(purchase),
            object_id=refund_id,
            status="succeeded",
        )

    def dispute(self, purchase: Purchase, at_s: float, reason: str) -> None:
        """Add a dispute by the cardholder."""
        dispute_id = self.new_id("du")
        self.add(
            Dispute,
            "dispute.created",
            at_s,
            **_after(purchase),
            object_id=dispute_id,
            status="needs_response",
            reason=reason,
        )

    def fraud_warning(self, purchase: Purchase, at_s: float) -> None:
        """Add an early fraud warning by the issuer."""
        self.add(
            FraudWarning,
            "fraud_warning.created",
            at_s,
            merchant_id=purchase.merchant_id,
            payment_id=purchase.payment_id,
        )


_SOURCE: Final = Coordinates(topic="history", partition=0, offset=0)


def _common(purchase: Purchase) -> dict[str, object]:
    return {
        **_after(purchase),
        "customer_id": purchase.customer.customer_id,
        "object_id": purchase.payment_id,
        "invoice_id": purchase.invoice_id,
    }


def _after(purchase: Purchase) -> dict[str, object]:
    return {
        "merchant_id": purchase.merchant_id,
        "payment_id": purchase.payment_id,
        "amount_minor": purchase.amount_minor,
        "currency": purchase.customer.currency,
        "currency_exponent": purchase.customer.exponent,
    }


def _method(card: Card) -> PaymentMethod:
    return PaymentMethod(
        type="card",
        brand=card.network,
        network=card.network,
        funding=card.funding,
        country=card.country,
        wallet="apple_pay" if card.in_wallet else None,
        card_hash=card.card_hash,
        cvc_check=card.cvc_check,
        postal_code_check=card.postal_code_check,
    )
