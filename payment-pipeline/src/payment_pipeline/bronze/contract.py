"""The columns of bronze, in one place.

The migrations, the writer, the lake's Arrow schema and dbt's sources are held against it by tests.
"""

from enum import StrEnum
from typing import Final, NamedTuple

EVENTS_TABLE: Final = "payment_events"
QUARANTINE_TABLE: Final = "payment_events_quarantine"
HISTORY_TABLE: Final = "payment_events_history"
FEATURES_TABLE: Final = "entity_features"
DECISIONS_TABLE: Final = "payment_decisions"
AUDITS_TABLE: Final = "ledger_audits"
ERASURES_TABLE: Final = "erasures"
ERASED_OBJECTS_TABLE: Final = "erased_objects"


class InferenceStatus(StrEnum):
    """Whether an event's scores are there."""

    SCORED = "scored"
    NOT_APPLICABLE = "not_applicable"
    """No model applies to this kind of event."""
    UNAVAILABLE = "unavailable"
    """Inference was down past its retries: the row was written all the same, to be scored later."""


class Resolution(StrEnum):
    """How a dead letter was closed."""

    WRITTEN = "written"
    """Its redrive, or a replay of its record, put it into `payment_events`."""
    ALREADY_THERE = "already_there"
    """`payment_events` had it, from another delivery, redrive or replay."""
    UNMODELLED = "unmodelled"
    """Its redrive put it on `payments.unmodelled`: genuine, and no model covers it."""
    DUPLICATE = "duplicate"
    """A redrive was rejected and left this letter of its own; the first one is still open."""
    DISMISSED = "dismissed"
    """A person says that it will never be an event; it stays where it is."""


class Column(NamedTuple):
    """One column: its name, PostgreSQL type, whether it may be null, and what it says."""

    name: str
    type: str
    nullable: bool
    comment: str


EVENTS: Final = (
    Column("provider", "text", False, "Who sent the webhook, e.g. stripe. Key with event_id."),
    Column("event_id", "text", False, "The provider's event id. Key with provider."),
    Column("event_type", "text", False, "Provider-neutral type, <kind>.<what happened>."),
    Column("provider_event_type", "text", False, "The provider's own name of the type."),
    Column("kind", "text", False, "payment, charge, dispute, refund, payout, invoice, …"),
    Column("occurred_at", "timestamptz", False, "When the provider says it happened, UTC."),
    Column("received_at", "timestamptz", False, "When the gateway had the whole body, UTC."),
    Column("ingested_at", "timestamptz", False, "When this row was inserted, UTC."),
    Column("api_version", "text", True, "The provider's API version of the body."),
    Column("livemode", "boolean", False, "False for the provider's test mode."),
    Column("merchant_id", "text", True, "The connected account; null is the platform itself."),
    Column("customer_id", "text", True, "The payer, by the provider's id."),
    Column("payment_id", "text", True, "The payment intent, or the charge where there is none."),
    Column("object_id", "text", True, "The provider's object that the event is about."),
    Column("status", "text", True, "The object's status, as the provider names it."),
    Column("amount_minor", "bigint", True, "Amount in the provider's minor unit of currency."),
    Column("currency", "text", True, "ISO 4217 code, upper case."),
    Column("currency_exponent", "smallint", True, "major = amount_minor / 10^currency_exponent."),
    Column("attributes", "jsonb", False, "What only this kind has; see the PaymentEvent schema."),
    Column("fraud_score", "double precision", True, "Calibrated probability of fraud, 0 to 1."),
    Column("churn_score", "double precision", True, "Calibrated probability of churn, 0 to 1."),
    Column("retry_strategy", "text", True, "The advised retry of a failed payment."),
    Column("scores", "jsonb", True, "Each score with its model, version and top reasons."),
    Column("inference_status", "text", False, "scored, not_applicable or unavailable."),
    Column("body_sha256", "text", False, "Hex SHA-256 of the signed body."),
    Column("source_topic", "text", False, "Raw Kafka topic of the webhook."),
    Column("source_partition", "integer", False, "Partition in source_topic."),
    Column("source_offset", "bigint", False, "Offset in source_partition."),
    Column("normalizer_version", "text", False, "Version of the code that normalized it."),
    Column("traceparent", "text", True, "W3C trace context of the receipt."),
    Column("workflow_id", "text", False, "Temporal workflow that wrote the row."),
    Column("ingest_xid", "xid8", False, "Transaction that wrote the row: the lake's horizon."),
    Column("id", "bigint", False, "Order within the table; identity, gaps are normal."),
    Column(
        "corrected_at",
        "timestamptz",
        True,
        "When a replay put this version in an earlier one's place, UTC; null: never.",
    ),
)
"""`payment_events`: primary key (provider, event_id)."""

HISTORY: Final = (
    Column(
        "valid_from",
        "timestamptz",
        False,
        "From when on payment_events had this version, UTC. Key.",
    ),
    Column(
        "valid_to",
        "timestamptz",
        False,
        "Until just before when it had it, UTC: the next version's valid_from.",
    ),
    Column("corrected_by", "text", False, "The replay that put another in its place."),
    *EVENTS,
)
"""`payment_events_history`: primary key (provider, event_id, valid_from)."""

QUARANTINE: Final = (
    Column("source_topic", "text", False, "Topic of the record that ended here. Key."),
    Column("source_partition", "integer", False, "Partition in source_topic. Key."),
    Column("source_offset", "bigint", False, "Offset in source_partition. Key."),
    Column("failure", "text", False, "Failure class, e.g. invalid or conflicting_body. Key."),
    Column("provider", "text", False, "Who sent the webhook."),
    Column("event_id", "text", True, "The provider's event id, where one could be read."),
    Column("provider_event_type", "text", True, "The provider's own name of the type."),
    Column("errors", "jsonb", False, "Every error with its path in the body."),
    Column("component", "text", False, "Who rejected it: gateway, normalizer or orchestrator."),
    Column("component_version", "text", False, "Version of that component."),
    Column("body", "bytea", False, "The signed bytes, unchanged."),
    Column("body_sha256", "text", False, "Hex SHA-256 of body."),
    Column("verdict", "text", False, "How the gateway verified the signature."),
    Column("received_at", "timestamptz", False, "When the gateway had the whole body, UTC."),
    Column("rejected_at", "timestamptz", False, "When the component gave up on it, UTC."),
    Column("ingested_at", "timestamptz", False, "When this row was inserted, UTC."),
    Column("traceparent", "text", True, "W3C trace context of the receipt."),
    Column("workflow_id", "text", False, "Temporal workflow that wrote the row."),
    Column("ingest_xid", "xid8", False, "Transaction that wrote the row: the lake's horizon."),
    Column("id", "bigint", False, "Order within the table; identity, gaps are normal."),
    Column(
        "resolution",
        "text",
        True,
        "How it was closed: written, already_there, unmodelled, duplicate or dismissed; "
        "null is open.",
    ),
    Column("resolved_at", "timestamptz", True, "When it was closed, UTC."),
    Column("resolved_by", "text", True, "Who closed it."),
    Column("resolution_note", "text", True, "Why, in that person's words."),
    Column(
        "redriven_event_id",
        "text",
        True,
        "The event that it was sent again as, by the provider's id.",
    ),
    Column(
        "redriven_body_sha256",
        "text",
        True,
        "Hex SHA-256 of the body that was sent again: body's own unless it was patched.",
    ),
    Column(
        "patch",
        "jsonb",
        True,
        "The JSON patch (RFC 6902) between the two bodies; null is none.",
    ),
)
"""`payment_events_quarantine`: primary key is the source coordinates and the failure.

The source is the raw record (`webhooks.…`), not the dead letter that carries it, so a range of dead
letters that is read twice, or a normalizer that restarts and produces one twice, changes nothing.
"""

RESOLUTION: Final = frozenset(
    {
        "resolution",
        "resolved_at",
        "resolved_by",
        "resolution_note",
        "redriven_event_id",
        "redriven_body_sha256",
        "patch",
    }
)
"""The columns of the quarantine that are null until a letter is closed (`dlq`)."""

FEATURES: Final = (
    Column("provider", "text", False, "Whose id entity_id is. Key."),
    Column("entity", "text", False, "customer, merchant or card. Key."),
    Column("entity_id", "text", False, "The provider's id, or the card's keyed hash. Key."),
    Column("events", "bigint", False, "Events about it, of every kind."),
    Column("attempts", "bigint", False, "Attempts to move money."),
    Column("successes", "bigint", False, "Attempts that succeeded."),
    Column("failures", "bigint", False, "Attempts that failed."),
    Column("refunds", "bigint", False, "Refunds created."),
    Column("disputes", "bigint", False, "Disputes created."),
    Column("fraud_warnings", "bigint", False, "Early fraud warnings of the issuer."),
    Column("invoices_failed", "bigint", False, "Invoices whose payment failed."),
    Column("first_seen_at", "timestamptz", True, "Earliest event by the provider's time, UTC."),
    Column("last_seen_at", "timestamptz", True, "Latest event by the provider's time, UTC."),
    Column("last_success_at", "timestamptz", True, "Latest attempt that succeeded, UTC."),
    Column("recent_attempts_at", "timestamptz[]", False, "The latest attempts, oldest first."),
    Column("recent_failures_at", "timestamptz[]", False, "The latest failures, oldest first."),
    Column("counterparties", "text[]", False, "Cards of a customer, customers of a card; capped."),
    Column("amounts", "jsonb", False, "Attempts by currency: count, sum_minor, max_minor."),
    Column("subscription_status", "text", True, "Status of the subscription that changed last."),
    Column("subscription_status_at", "timestamptz", True, "When it took that status, UTC."),
)
"""`entity_features`: primary key (provider, entity, entity_id), then `EntityState`'s fields."""

DECISIONS: Final = (
    Column("workflow_id", "text", False, "The review or recovery in Temporal. Key."),
    Column("step", "integer", False, "Order within the workflow, from 1. Key."),
    Column("kind", "text", False, "review or recovery."),
    Column("provider", "text", False, "Who sent the webhook, e.g. stripe."),
    Column("payment_id", "text", False, "As in payment_events."),
    Column("event_id", "text", False, "The event that led to the workflow."),
    Column("customer_id", "text", True, "The payer, by the provider's id."),
    Column("merchant_id", "text", True, "The connected account; null is the platform itself."),
    Column("outcome", "text", False, "pending (an advice), approved, declined, recovered, …"),
    Column("decided_at", "timestamptz", False, "When it was decided or advised, UTC. Key."),
    Column("fraud_score", "double precision", True, "Reviews: the score that led to it."),
    Column("strategy", "text", True, "Recoveries: the advised retry strategy."),
    Column("due_at", "timestamptz", True, "Recoveries: when the advised attempt is due, UTC."),
    Column("attempts_left", "integer", True, "Recoveries: what the network still allows."),
    Column("decided_by", "text", True, "Reviews: who answered; null is the timeout."),
    Column("note", "text", True, "Reviews: what the reviewer wrote."),
    Column("ingested_at", "timestamptz", False, "When this row was inserted, UTC."),
    Column("ingest_xid", "xid8", False, "Transaction that wrote the row: the lake's horizon."),
    Column("id", "bigint", False, "Order within the table; identity, gaps are normal."),
)
"""`payment_decisions`: primary key (workflow_id, step, decided_at)."""

AUDITS: Final = (
    Column("audit_id", "text", False, "Random. Key."),
    Column("audited_at", "timestamptz", False, "When the answer was there, UTC."),
    Column("asked_by", "text", False, "schedule or operator."),
    Column(
        "window_since", "timestamptz", True, "First receipt it is of, UTC; null: all there are."
    ),
    Column("window_until", "timestamptz", False, "Receipts before this are in it, UTC."),
    Column("is_clean", "boolean", False, "Nothing missing, twice, unexplained or mismatched."),
    Column("is_settled", "boolean", False, "No stage was behind when it was read."),
    Column("has_client_ledger", "boolean", False, "Whether a client's own ledger was held to it."),
    Column("received_events", "bigint", False, "Events on the raw topics."),
    Column("normalized_events", "bigint", False, "Of these, normalized."),
    Column("rejected_events", "bigint", False, "Of these, no event could be made of."),
    Column("unmodelled_events", "bigint", False, "Of these, genuine and without a model."),
    Column("bronze_events", "bigint", False, "Events in payment_events."),
    Column("quarantine_events", "bigint", False, "Dead letters that are no event."),
    Column("lake_events", "bigint", True, "Events in the lake; null: it wasn't audited."),
    Column("facts_events", "bigint", True, "Events in the facts; null: they weren't audited."),
    Column("pending_events", "bigint", False, "In bronze, and on their way to the lake or facts."),
    Column("missing_events", "bigint", False, "In a stage, and in none that follows it."),
    Column(
        "duplicated_events", "bigint", False, "In two rows, or in places that exclude each other."
    ),
    Column("unexplained_events", "bigint", False, "In a stage, and in none before it."),
    Column(
        "mismatched_events", "bigint", False, "Whose records disagree in id, currency or amount."
    ),
    Column("elapsed_s", "double precision", False, "How long the audit took, in seconds."),
    Column("ingested_at", "timestamptz", False, "When this row was inserted, UTC."),
    Column("ingest_xid", "xid8", False, "Transaction that wrote the row: the lake's horizon."),
    Column("id", "bigint", False, "Order within the table; identity, gaps are normal."),
)
"""`ledger_audits`: primary key audit_id. Counts only: whom an event names is nowhere in it."""

ERASURES: Final = (
    Column("id", "bigint", False, "Order of the erasures. Key."),
    Column("provider", "text", False, "Whose customer it was, e.g. stripe."),
    Column("started_at", "timestamptz", False, "When it began to change anything, UTC."),
    Column("finished_at", "timestamptz", True, "When its proof was there, UTC; null: cut off."),
    Column("topics_whole_from", "timestamptz", True, "Kafka lacks what was received before, UTC."),
    Column("cuts", "jsonb", False, "Each partition that was cut, and before which offset."),
    Column("found", "jsonb", False, "How much named the person, by place."),
    Column("remaining", "jsonb", True, "The same at the end: none, or it is not done."),
)
"""`erasures`: primary key id."""

ERASED_OBJECTS: Final = (
    Column("provider", "text", False, "Whose object it is. Key."),
    Column("object_id", "text", False, "The provider's id of the object. Key."),
    Column("token", "text", False, "What stands in the place of the customer's id."),
)
"""`erased_objects`: primary key (provider, object_id)."""
