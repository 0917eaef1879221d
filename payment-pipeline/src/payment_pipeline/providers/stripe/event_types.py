"""The event types of Stripe that have a model, with the kind of each.

`docs/guides/extending.md` describes how to add a type. Source: Stripe, "Types of events".
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from payment_pipeline.domain import events
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.providers.reader import Fields, Reader

from . import billing, customers, disputes, payments
from .rendering import Rendering


class Kind(NamedTuple):
    """Reads one kind of `data.object` as one kind of event."""

    model: type[PaymentEvent]
    read: Callable[[Reader, Rendering], Fields]
    objects: tuple[str, ...]
    """The values that `data.object.object` may have."""
    identified: bool = True
    """True if the object must have an id."""


PAYMENT: Final = Kind(events.Payment, payments.payment, ("payment_intent",))
CHARGE: Final = Kind(events.Charge, payments.charge, ("charge",))
DISPUTE: Final = Kind(events.Dispute, disputes.dispute, ("dispute",))
REFUND: Final = Kind(events.Refund, payments.refund, ("refund",))
PAYOUT: Final = Kind(events.Payout, payments.payout, ("payout",))
WARNING: Final = Kind(events.FraudWarning, disputes.fraud_warning, ("radar.early_fraud_warning",))
REVIEW: Final = Kind(events.Review, disputes.review, ("review",))
INVOICE: Final = Kind(events.Invoice, billing.invoice, ("invoice",))
UPCOMING: Final = INVOICE._replace(identified=False)
SUBSCRIPTION: Final = Kind(events.Subscription, billing.subscription, ("subscription",))
CUSTOMER: Final = Kind(events.Customer, customers.customer, ("customer",))
DISCOUNT: Final = Kind(events.Customer, customers.discount, ("discount",), identified=False)
SOURCE: Final = Kind(
    events.Customer, customers.source, ("account", "bank_account", "card", "source")
)
TAX_ID: Final = Kind(events.Customer, customers.tax_id, ("tax_id",))

MODELLED: Final[Mapping[str, tuple[Kind, str]]] = {
    "payment_intent.amount_capturable_updated": (PAYMENT, "payment.amount_capturable_updated"),
    "payment_intent.canceled": (PAYMENT, "payment.canceled"),
    "payment_intent.created": (PAYMENT, "payment.created"),
    "payment_intent.partially_funded": (PAYMENT, "payment.partially_funded"),
    "payment_intent.payment_failed": (PAYMENT, "payment.failed"),
    "payment_intent.processing": (PAYMENT, "payment.processing"),
    "payment_intent.requires_action": (PAYMENT, "payment.requires_action"),
    "payment_intent.succeeded": (PAYMENT, "payment.succeeded"),
    "charge.captured": (CHARGE, "charge.captured"),
    "charge.expired": (CHARGE, "charge.expired"),
    "charge.failed": (CHARGE, "charge.failed"),
    "charge.pending": (CHARGE, "charge.pending"),
    # This type carries the charge, not the refund.
    "charge.refunded": (CHARGE, "charge.refunded"),
    "charge.succeeded": (CHARGE, "charge.succeeded"),
    "charge.updated": (CHARGE, "charge.updated"),
    "charge.dispute.closed": (DISPUTE, "dispute.closed"),
    "charge.dispute.created": (DISPUTE, "dispute.created"),
    "charge.dispute.funds_reinstated": (DISPUTE, "dispute.funds_reinstated"),
    "charge.dispute.funds_withdrawn": (DISPUTE, "dispute.funds_withdrawn"),
    "charge.dispute.updated": (DISPUTE, "dispute.updated"),
    "charge.refund.updated": (REFUND, "refund.updated"),
    "refund.created": (REFUND, "refund.created"),
    "refund.failed": (REFUND, "refund.failed"),
    "refund.updated": (REFUND, "refund.updated"),
    "payout.canceled": (PAYOUT, "payout.canceled"),
    "payout.created": (PAYOUT, "payout.created"),
    "payout.failed": (PAYOUT, "payout.failed"),
    "payout.paid": (PAYOUT, "payout.paid"),
    "payout.reconciliation_completed": (PAYOUT, "payout.reconciliation_completed"),
    "payout.updated": (PAYOUT, "payout.updated"),
    "radar.early_fraud_warning.created": (WARNING, "fraud_warning.created"),
    "radar.early_fraud_warning.updated": (WARNING, "fraud_warning.updated"),
    "review.closed": (REVIEW, "review.closed"),
    "review.opened": (REVIEW, "review.opened"),
    "invoice.created": (INVOICE, "invoice.created"),
    "invoice.deleted": (INVOICE, "invoice.deleted"),
    "invoice.finalization_failed": (INVOICE, "invoice.finalization_failed"),
    "invoice.finalized": (INVOICE, "invoice.finalized"),
    "invoice.marked_uncollectible": (INVOICE, "invoice.marked_uncollectible"),
    "invoice.overdue": (INVOICE, "invoice.overdue"),
    "invoice.overpaid": (INVOICE, "invoice.overpaid"),
    "invoice.paid": (INVOICE, "invoice.paid"),
    "invoice.payment_action_required": (INVOICE, "invoice.payment_action_required"),
    "invoice.payment_attempt_required": (INVOICE, "invoice.payment_attempt_required"),
    "invoice.payment_failed": (INVOICE, "invoice.payment_failed"),
    "invoice.payment_succeeded": (INVOICE, "invoice.payment_succeeded"),
    "invoice.sent": (INVOICE, "invoice.sent"),
    "invoice.upcoming": (UPCOMING, "invoice.upcoming"),
    "invoice.updated": (INVOICE, "invoice.updated"),
    "invoice.voided": (INVOICE, "invoice.voided"),
    "invoice.will_be_due": (INVOICE, "invoice.will_be_due"),
    "customer.subscription.created": (SUBSCRIPTION, "subscription.created"),
    "customer.subscription.deleted": (SUBSCRIPTION, "subscription.deleted"),
    "customer.subscription.paused": (SUBSCRIPTION, "subscription.paused"),
    "customer.subscription.pending_update_applied": (
        SUBSCRIPTION,
        "subscription.pending_update_applied",
    ),
    "customer.subscription.pending_update_expired": (
        SUBSCRIPTION,
        "subscription.pending_update_expired",
    ),
    "customer.subscription.resumed": (SUBSCRIPTION, "subscription.resumed"),
    "customer.subscription.trial_will_end": (SUBSCRIPTION, "subscription.trial_will_end"),
    "customer.subscription.updated": (SUBSCRIPTION, "subscription.updated"),
    "customer.created": (CUSTOMER, "customer.created"),
    "customer.deleted": (CUSTOMER, "customer.deleted"),
    "customer.updated": (CUSTOMER, "customer.updated"),
    "customer.discount.created": (DISCOUNT, "customer.discount_created"),
    "customer.discount.deleted": (DISCOUNT, "customer.discount_deleted"),
    "customer.discount.updated": (DISCOUNT, "customer.discount_updated"),
    "customer.source.created": (SOURCE, "customer.source_created"),
    "customer.source.deleted": (SOURCE, "customer.source_deleted"),
    "customer.source.expiring": (SOURCE, "customer.source_expiring"),
    "customer.source.updated": (SOURCE, "customer.source_updated"),
    "customer.tax_id.created": (TAX_ID, "customer.tax_id_created"),
    "customer.tax_id.deleted": (TAX_ID, "customer.tax_id_deleted"),
    "customer.tax_id.updated": (TAX_ID, "customer.tax_id_updated"),
}
"""Stripe's event type → the kind that reads its object, and the provider-neutral type."""
