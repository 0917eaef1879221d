"""`PaymentEvent`: the provider-neutral schema of payment events.

It is a discriminated union on `kind`. Every kind has the common columns of `EventBase`. The other
fields of a kind are stored in bronze's column `attributes`, so a new event type needs no DDL.

Amounts are integers in the provider's minor unit. Each event carries the currency, and the exponent
that the provider uses for it (`domain.currency`). An event holds no personal data: no name, e-mail,
address or metadata. A card is a keyed hash of its fingerprint.

Statuses and reasons are provider-neutral (`domain.event_fields`). `provider_status` and
`provider_reason` keep the provider's own words.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias, get_args

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError, model_validator

from .currency import CurrencyCode
from .event_fields import (
    Code,
    Count,
    DisputeReason,
    DisputeStatus,
    ExactMinor,
    Id,
    InvoiceStatus,
    MinorUnits,
    PaymentStatus,
    PayoutStatus,
    RefundReason,
    RefundStatus,
    ReviewStatus,
    Sha256,
    SubscriptionStatus,
)
from .event_parts import Decline, Part, PaymentMethod, Previous, Risk, errors_of
from .raw import Coordinates

Required: TypeAlias = Mapping[str, tuple[str, ...]]
"""Names of fields, by what requires them."""


class EventBase(Part):
    """The common columns. Bronze's column contract (`bronze.contract`) mirrors them by name."""

    has_control_total: ClassVar[bool] = False
    """Whether the ledger adds up the amounts of this kind.

    True for a kind that moves money or bills it. `Provider.control_total` must then read the amount
    of its bodies. False for a subscription or a customer: their amounts move no money.
    """

    required: ClassVar[Required] = {}
    """The fields that an event must have: by its event type, its status, or `*` for all events.

    An event that says that money was captured must say how much.
    """

    schema_version: Literal[2] = 2
    provider: Id
    event_id: Id
    provider_event_type: Code
    """The provider's name of the type, e.g. `payment_intent.payment_failed`."""
    occurred_at: AwareDatetime
    """When the provider says it happened (Stripe: whole seconds), UTC."""
    received_at: AwareDatetime
    """When the gateway had the whole body, UTC."""
    api_version: Code | None = None
    livemode: bool
    merchant_id: Id | None = None
    """The connected account (Stripe Connect); `None` stands for the platform account."""
    customer_id: Id | None = None
    payment_id: Id | None = None
    """The payment of this event: the payment intent, or the charge if there is no intent."""
    object_id: Id | None = None
    """The provider's object; `None` only if the provider sends no id (`invoice.upcoming`)."""
    status: Code | None = None
    """The provider-neutral status. Each kind has its closed list."""
    provider_status: Code | None = None
    """The provider's own word for the status."""
    previous: Previous | None = None
    """Values just before this event, if the provider says which have changed.

    Times are in whole seconds, so these values order the events of one second.
    """
    amount_minor: MinorUnits | None = None
    currency: CurrencyCode | None = None
    currency_exponent: Annotated[int, Field(ge=0, le=4)] | None = None
    """Power of ten from the provider's minor unit to the major unit. Set if currency is set."""
    body_sha256: Sha256
    identity_sha256: Sha256 | None = None
    """Equal for two deliveries of the same event (`Envelope.identity`). `None`: `body_sha256`."""
    source: Coordinates
    """The coordinates of the raw record that this event was made from."""
    traceparent: Code | None = None
    normalizer_version: Code

    def is_delivery_of(self, body_sha256: str, identity_sha256: str | None) -> bool:
        """True if a row or record with these hashes is the same event.

        The same body is the same event, also if an earlier version stored it without an identity.
        """
        return self.body_sha256 == body_sha256 or (
            self.identity_sha256 is not None and self.identity_sha256 == identity_sha256
        )

    @model_validator(mode="after")
    def _has_what_it_says(self) -> Self:
        event_type: str = self.event_type  # type: ignore[attr-defined]  # each kind has its own list
        lacking = {
            name: event_type if subject == "*" else subject
            for subject in ("*", self.status or "", event_type)
            for name in self.required.get(subject, ())
            if getattr(self, name) is None
        }
        if lacking:
            raise ValidationError.from_exception_data(type(self).__name__, errors_of(lacking))
        return self


class Payment(EventBase):
    """A payment that a merchant asked for (Stripe: PaymentIntent)."""

    has_control_total = True
    required: ClassVar[Required] = {
        "*": ("payment_id", "status", "amount_minor", "currency"),
        "payment.amount_capturable_updated": ("amount_capturable_minor",),
        "payment.succeeded": ("amount_received_minor",),
        "succeeded": ("amount_received_minor",),
    }
    kind: Literal["payment"] = "payment"
    event_type: Literal[
        "payment.created",
        "payment.processing",
        "payment.requires_action",
        "payment.amount_capturable_updated",
        "payment.partially_funded",
        "payment.succeeded",
        "payment.failed",
        "payment.canceled",
    ]
    status: PaymentStatus | None = None
    amount_capturable_minor: MinorUnits | None = None
    amount_received_minor: MinorUnits | None = None
    """Captured so far."""
    charge_id: Id | None = None
    invoice_id: Id | None = None
    capture_method: Code | None = None
    cancellation_reason: Code | None = None
    setup_future_usage: Code | None = None
    decline: Decline | None = None
    payment_method: PaymentMethod | None = None
    risk: Risk | None = None


class Charge(EventBase):
    """One attempt to move the money (Stripe: Charge)."""

    has_control_total = True
    required: ClassVar[Required] = {
        "*": ("payment_id", "object_id", "status", "amount_minor", "currency"),
        "charge.captured": ("amount_captured_minor",),
        "charge.refunded": ("amount_refunded_minor",),
    }
    kind: Literal["charge"] = "charge"
    event_type: Literal[
        "charge.pending",
        "charge.succeeded",
        "charge.failed",
        "charge.captured",
        "charge.updated",
        "charge.refunded",
        "charge.expired",
    ]
    status: PaymentStatus | None = None
    amount_authorized_minor: MinorUnits | None = None
    """The amount that the issuer approved; less than `amount_minor` after a partial approval."""
    amount_captured_minor: MinorUnits | None = None
    """Captured so far; `None` if the provider does not say it."""
    amount_refunded_minor: MinorUnits | None = None
    """Refunded so far. A released authorization is no refund and is not in it."""
    captured: bool | None = None
    disputed: bool | None = None
    refunded: bool | None = None
    invoice_id: Id | None = None
    balance_transaction_id: Id | None = None
    decline: Decline | None = None
    payment_method: PaymentMethod | None = None
    risk: Risk | None = None


class Dispute(EventBase):
    """A chargeback or an inquiry. Its state is in `status`, not in the event type."""

    has_control_total = True
    required: ClassVar[Required] = {"*": ("object_id", "status", "amount_minor", "currency")}
    kind: Literal["dispute"] = "dispute"
    event_type: Literal[
        "dispute.created",
        "dispute.updated",
        "dispute.closed",
        "dispute.funds_withdrawn",
        "dispute.funds_reinstated",
    ]
    status: DisputeStatus | None = None
    charge_id: Id | None = None
    reason: DisputeReason | None = None
    provider_reason: Code | None = None
    network_reason_code: Code | None = None
    is_charge_refundable: bool | None = None
    evidence_due_at: AwareDatetime | None = None
    net_balance_minor: MinorUnits | None = None
    """Signed sum of the net amounts of its balance transactions: the money moved so far."""
    net_balance_currency: CurrencyCode | None = None
    """The settlement currency, which may differ from the dispute's currency."""
    withdrawn_minor: MinorUnits | None = None
    """The amounts that were taken from the merchant, without fees, in the settlement currency."""
    reinstated_minor: MinorUnits | None = None
    """The amounts that were given back, without fees, in the settlement currency."""


class Refund(EventBase):
    """Money that goes back to the payer."""

    has_control_total = True
    required: ClassVar[Required] = {"*": ("object_id", "status", "amount_minor", "currency")}
    kind: Literal["refund"] = "refund"
    event_type: Literal["refund.created", "refund.updated", "refund.failed"]
    status: RefundStatus | None = None
    charge_id: Id | None = None
    reason: RefundReason | None = None
    provider_reason: Code | None = None
    failure_reason: Code | None = None
    requested_at: AwareDatetime | None = None


class Payout(EventBase):
    """Money to the merchant's bank. The amount is negative when money comes from the bank."""

    has_control_total = True
    required: ClassVar[Required] = {"*": ("object_id", "status", "amount_minor", "currency")}
    kind: Literal["payout"] = "payout"
    event_type: Literal[
        "payout.created",
        "payout.updated",
        "payout.paid",
        "payout.failed",
        "payout.canceled",
        "payout.reconciliation_completed",
    ]
    status: PayoutStatus | None = None
    arrival_at: AwareDatetime | None = None
    method: Code | None = None
    type: Code | None = None
    automatic: bool | None = None
    failure_code: Code | None = None
    balance_transaction_id: Id | None = None


class Invoice(EventBase):
    """A bill; `amount_minor` is the amount due."""

    has_control_total = True
    required: ClassVar[Required] = {
        "*": ("status",),
        "invoice.paid": ("amount_minor", "currency", "amount_paid_minor"),
        "invoice.payment_succeeded": ("amount_minor", "currency", "amount_paid_minor"),
    }
    kind: Literal["invoice"] = "invoice"
    event_type: Literal[
        "invoice.created",
        "invoice.deleted",
        "invoice.finalization_failed",
        "invoice.finalized",
        "invoice.marked_uncollectible",
        "invoice.overdue",
        "invoice.overpaid",
        "invoice.paid",
        "invoice.payment_action_required",
        "invoice.payment_attempt_required",
        "invoice.payment_failed",
        "invoice.payment_succeeded",
        "invoice.sent",
        "invoice.upcoming",
        "invoice.updated",
        "invoice.voided",
        "invoice.will_be_due",
    ]
    status: InvoiceStatus | None = None
    subscription_id: Id | None = None
    billing_reason: Code | None = None
    collection_method: Code | None = None
    amount_paid_minor: MinorUnits | None = None
    amount_remaining_minor: MinorUnits | None = None
    total_minor: MinorUnits | None = None
    attempt_count: Count | None = None
    next_payment_attempt_at: AwareDatetime | None = None
    due_at: AwareDatetime | None = None
    period_start_at: AwareDatetime | None = None
    period_end_at: AwareDatetime | None = None


class Subscription(EventBase):
    """A recurring contract; `amount_minor` is the list price of its items for one billing period.

    `monthly_amount_minor` is what is billed: all items converted to one month, less discounts.
    """

    required: ClassVar[Required] = {"*": ("object_id", "status")}
    kind: Literal["subscription"] = "subscription"
    event_type: Literal[
        "subscription.created",
        "subscription.updated",
        "subscription.deleted",
        "subscription.paused",
        "subscription.resumed",
        "subscription.trial_will_end",
        "subscription.pending_update_applied",
        "subscription.pending_update_expired",
    ]
    status: SubscriptionStatus | None = None
    monthly_amount_minor: ExactMinor | None = None
    """`None` if no part of the amount is known in advance (`domain.recurring`)."""
    has_unknown_amount: bool | None = None
    """True if a part of the amount is not known in advance: tiers, usage, an unknown discount."""
    is_collection_paused: bool | None = None
    """True if the provider collects no payments at present. The amount is not billed then."""
    collection_resumes_at: AwareDatetime | None = None
    interval: Literal["day", "week", "month", "year"] | None = None
    interval_count: Count | None = None
    quantity: Count | None = None
    started_at: AwareDatetime | None = None
    current_period_start_at: AwareDatetime | None = None
    current_period_end_at: AwareDatetime | None = None
    trial_end_at: AwareDatetime | None = None
    cancel_at_period_end: bool | None = None
    canceled_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    cancellation_reason: Code | None = None
    collection_method: Code | None = None


class Customer(EventBase):
    """A payer, or a source, a discount or a tax id of a payer. No personal data."""

    kind: Literal["customer"] = "customer"
    event_type: Literal[
        "customer.created",
        "customer.updated",
        "customer.deleted",
        "customer.discount_created",
        "customer.discount_updated",
        "customer.discount_deleted",
        "customer.source_created",
        "customer.source_updated",
        "customer.source_deleted",
        "customer.source_expiring",
        "customer.tax_id_created",
        "customer.tax_id_updated",
        "customer.tax_id_deleted",
    ]
    status: None = None
    balance_minor: MinorUnits | None = None
    delinquent: bool | None = None
    country: Code | None = None
    customer_since_at: AwareDatetime | None = None
    coupon_id: Id | None = None
    payment_method: PaymentMethod | None = None


class FraudWarning(EventBase):
    """The issuer reports that the cardholder claims fraud (Stripe: radar.early_fraud_warning)."""

    kind: Literal["fraud_warning"] = "fraud_warning"
    event_type: Literal["fraud_warning.created", "fraud_warning.updated"]
    status: None = None
    charge_id: Id | None = None
    fraud_type: Code | None = None
    actionable: bool | None = None


class Review(EventBase):
    """The provider opened or closed a manual review of a payment (Stripe Radar)."""

    kind: Literal["review"] = "review"
    event_type: Literal["review.opened", "review.closed"]
    status: ReviewStatus | None = None
    charge_id: Id | None = None
    reason: Code | None = None
    opened_reason: Code | None = None
    closed_reason: Code | None = None


PaymentEvent: TypeAlias = Annotated[
    Payment
    | Charge
    | Dispute
    | Refund
    | Payout
    | Invoice
    | Subscription
    | Customer
    | FraudWarning
    | Review,
    Field(discriminator="kind"),
]

PAYMENT_EVENT: TypeAdapter[PaymentEvent] = TypeAdapter(PaymentEvent)
"""Reads and writes `PaymentEvent`. Built once, because building takes milliseconds."""

KINDS: Final[Mapping[str, type[EventBase]]] = {
    model.model_fields["kind"].default: model for model in get_args(get_args(PaymentEvent)[0])
}
"""Each kind of event with its model, in the order of the union."""
EVENT_TYPES: Final = tuple(
    event_type
    for model in KINDS.values()
    for event_type in get_args(model.model_fields["event_type"].annotation)
)
"""Each provider-neutral type, `<kind>.<what happened>`."""
CONTROL_KINDS: Final = frozenset(kind for kind, model in KINDS.items() if model.has_control_total)
"""The kinds of which the ledger adds up the amounts."""
