"""The column contract of bronze.

Tests compare the migrations, the writer, the lake's Arrow schema and dbt's sources with it.
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
ACTIONS_TABLE: Final = "operator_actions"
INVENTORY_TABLE: Final = "provider_event_inventory"
CURSORS_TABLE: Final = "provider_cursors"
BACKFILLS_TABLE: Final = "provider_backfills"


class InferenceStatus(StrEnum):
    """The state of an event's scores."""

    SCORED = "scored"
    NOT_APPLICABLE = "not_applicable"
    """No model applies to this event."""
    UNAVAILABLE = "unavailable"
    """Inference was down during all retries. The row was written without scores, for later."""


class Resolution(StrEnum):
    """How a dead letter was closed."""

    WRITTEN = "written"
    """Its redrive, or a replay of its record, wrote the event to `payment_events`."""
    ALREADY_THERE = "already_there"
    """`payment_events` already had the event, from another delivery, redrive or replay."""
    UNMODELLED = "unmodelled"
    """Its redrive wrote it to `payments.unmodelled`: a genuine event without a model."""
    DUPLICATE = "duplicate"
    """The letter of a rejected redrive. The letter of the original record is still open."""
    DISMISSED = "dismissed"
    """A person decided that it will never be an event. It stays in the quarantine."""


class Column(NamedTuple):
    """One column: name, PostgreSQL type, nullability and comment."""

    name: str
    type: str
    nullable: bool
    comment: str


EVENTS: Final = (
    Column(
        "provider",
        "text",
        False,
        "The provider that sent the webhook, e.g. stripe. Key with event_id.",
    ),
    Column("event_id", "text", False, "The provider's event id. Key with provider."),
    Column("event_type", "text", False, "Provider-neutral type, <kind>.<what happened>."),
    Column("provider_event_type", "text", False, "The provider's name of the type."),
    Column("kind", "text", False, "payment, charge, dispute, refund, payout, invoice, …"),
    Column(
        "occurred_at", "timestamptz", False, "Time of the event according to the provider, UTC."
    ),
    Column("received_at", "timestamptz", False, "When the gateway had the whole body, UTC."),
    Column("ingested_at", "timestamptz", False, "When this row was inserted, UTC."),
    Column("api_version", "text", True, "The provider's API version of the body."),
    Column("livemode", "boolean", False, "False for the provider's test mode."),
    Column(
        "merchant_id", "text", True, "The connected account; null stands for the platform account."
    ),
    Column("customer_id", "text", True, "The payer, by the provider's id."),
    Column("payment_id", "text", True, "The payment intent, or the charge if there is no intent."),
    Column("object_id", "text", True, "The provider's object that the event is about."),
    Column(
        "status", "text", True, "The object's status, provider-neutral; a closed list per kind."
    ),
    Column("amount_minor", "bigint", True, "Amount in the provider's minor unit of currency."),
    Column("currency", "text", True, "ISO 4217 code, upper case."),
    Column("currency_exponent", "smallint", True, "major = amount_minor / 10^currency_exponent."),
    Column("attributes", "jsonb", False, "Fields of this kind alone; see the PaymentEvent schema."),
    Column("fraud_score", "double precision", True, "Calibrated probability of fraud, 0 to 1."),
    Column("churn_score", "double precision", True, "Calibrated probability of churn, 0 to 1."),
    Column("retry_strategy", "text", True, "The advised retry of a failed payment."),
    Column("scores", "jsonb", True, "Each score with its model, version and top reasons."),
    Column("inference_status", "text", False, "scored, not_applicable or unavailable."),
    Column("body_sha256", "text", False, "Hex SHA-256 of the signed body."),
    Column("source_topic", "text", False, "Raw Kafka topic of the webhook."),
    Column("source_partition", "integer", False, "Partition in source_topic."),
    Column("source_offset", "bigint", False, "Offset in source_partition."),
    Column("normalizer_version", "text", False, "Version of the normalizer that made the event."),
    Column("traceparent", "text", True, "W3C trace context of the receipt."),
    Column("workflow_id", "text", False, "Temporal workflow that wrote the row."),
    Column(
        "ingest_xid",
        "xid8",
        False,
        "Transaction that wrote the row, for the lake's transaction horizon.",
    ),
    Column("id", "bigint", False, "Order within the table. It may have gaps."),
    Column(
        "corrected_at",
        "timestamptz",
        True,
        "When a replay last corrected the row, UTC; null if never.",
    ),
    Column("provider_status", "text", True, "The object's status, as the provider names it."),
    Column(
        "identity_sha256",
        "text",
        True,
        "Hex SHA-256 of what makes two deliveries the same event; null: it is body_sha256.",
    ),
)
"""`payment_events`: primary key (provider, event_id)."""

HISTORY: Final = (
    Column(
        "valid_from",
        "timestamptz",
        False,
        "Start of the time in which payment_events had this version, UTC. Key.",
    ),
    Column(
        "valid_to",
        "timestamptz",
        False,
        "End of that time, UTC: the valid_from of the next version.",
    ),
    Column("corrected_by", "text", False, "The replay that replaced this version."),
    *EVENTS,
)
"""`payment_events_history`: primary key (provider, event_id, valid_from)."""

QUARANTINE: Final = (
    Column("source_topic", "text", False, "Topic of the rejected record. Key."),
    Column("source_partition", "integer", False, "Partition in source_topic. Key."),
    Column("source_offset", "bigint", False, "Offset in source_partition. Key."),
    Column("failure", "text", False, "Failure class, e.g. invalid or conflicting_body. Key."),
    Column("provider", "text", False, "The provider that sent the webhook."),
    Column("event_id", "text", True, "The provider's event id, if one could be read."),
    Column("provider_event_type", "text", True, "The provider's name of the type."),
    Column("errors", "jsonb", False, "Every error with its path in the body."),
    Column(
        "component",
        "text",
        False,
        "The component that rejected it: gateway, normalizer or orchestrator.",
    ),
    Column("component_version", "text", False, "Version of that component."),
    Column("body", "bytea", False, "The signed bytes, unchanged."),
    Column("body_sha256", "text", False, "Hex SHA-256 of body."),
    Column("verdict", "text", False, "How the gateway verified the signature."),
    Column("received_at", "timestamptz", False, "When the gateway had the whole body, UTC."),
    Column("rejected_at", "timestamptz", False, "When the component rejected it, UTC."),
    Column("ingested_at", "timestamptz", False, "When this row was inserted, UTC."),
    Column("traceparent", "text", True, "W3C trace context of the receipt."),
    Column("workflow_id", "text", False, "Temporal workflow that wrote the row."),
    Column(
        "ingest_xid",
        "xid8",
        False,
        "Transaction that wrote the row, for the lake's transaction horizon.",
    ),
    Column("id", "bigint", False, "Order within the table. It may have gaps."),
    Column(
        "resolution",
        "text",
        True,
        "How it was closed: written, already_there, unmodelled, duplicate or dismissed; "
        "null while it is open.",
    ),
    Column("resolved_at", "timestamptz", True, "When it was closed, UTC."),
    Column("resolved_by", "text", True, "The person or the replay that closed it."),
    Column("resolution_note", "text", True, "The reason, as that person or replay gave it."),
    Column(
        "redriven_event_id",
        "text",
        True,
        "The provider's id of the event that was sent again.",
    ),
    Column(
        "redriven_body_sha256",
        "text",
        True,
        "Hex SHA-256 of the body that was sent again, or of the delivery that became the event.",
    ),
    Column(
        "patch",
        "jsonb",
        True,
        "The JSON patch (RFC 6902) that changed the body; null if none.",
    ),
    Column(
        "identity_sha256",
        "text",
        True,
        "Hex SHA-256 of what makes two deliveries the same event; null: it is body_sha256.",
    ),
)
"""`payment_events_quarantine`: primary key (source coordinates, failure).

The source is the raw record (`webhooks.…`), not the record of the dead letter. So it changes
nothing if a range of dead letters is read twice, or if a restarted normalizer produces a dead
letter twice.
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
"""The columns of the quarantine that are null until a dead letter is closed (`dlq`)."""

FEATURES: Final = (
    Column("provider", "text", False, "The provider of entity_id. Key."),
    Column("entity", "text", False, "customer, merchant or card. Key."),
    Column(
        "entity_id",
        "text",
        False,
        "Customer: <merchant>/<live or test>/<id>. Merchant: <merchant>/<live or test>. "
        "Card: its hash. Key.",
    ),
    Column("events", "bigint", False, "Events about the entity, of every kind."),
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
    Column(
        "counterparties",
        "text[]",
        False,
        "Cards of a customer, or customers of a card, up to a maximum.",
    ),
    Column("amounts", "jsonb", False, "Attempts by currency: count, sum_minor, max_minor."),
    Column("subscription_status", "text", True, "Status of the subscription that changed last."),
    Column(
        "subscription_status_at", "timestamptz", True, "When the subscription got that status, UTC."
    ),
)
"""`entity_features`: primary key (provider, entity, entity_id), then `EntityState`'s fields."""

DECISIONS: Final = (
    Column("workflow_id", "text", False, "The review or recovery in Temporal. Key."),
    Column("step", "integer", False, "Order within the workflow, from 1. Key."),
    Column("kind", "text", False, "review or recovery."),
    Column("provider", "text", False, "The provider that sent the webhook, e.g. stripe."),
    Column("payment_id", "text", False, "As in payment_events."),
    Column("event_id", "text", False, "The event that led to the workflow."),
    Column("customer_id", "text", True, "The payer, by the provider's id."),
    Column(
        "merchant_id", "text", True, "The connected account; null stands for the platform account."
    ),
    Column("outcome", "text", False, "pending (an advice), approved, declined, recovered, …"),
    Column("decided_at", "timestamptz", False, "When it was decided or advised, UTC. Key."),
    Column("fraud_score", "double precision", True, "Reviews: the score that started the review."),
    Column("strategy", "text", True, "Recoveries: the advised retry strategy."),
    Column("due_at", "timestamptz", True, "Recoveries: when the advised attempt is due, UTC."),
    Column(
        "attempts_left",
        "integer",
        True,
        "Recoveries: number of attempts that the network still allows.",
    ),
    Column("decided_by", "text", True, "Reviews: the person who decided; null after a timeout."),
    Column("note", "text", True, "Reviews: what the reviewer wrote."),
    Column("ingested_at", "timestamptz", False, "When this row was inserted, UTC."),
    Column(
        "ingest_xid",
        "xid8",
        False,
        "Transaction that wrote the row, for the lake's transaction horizon.",
    ),
    Column("id", "bigint", False, "Order within the table. It may have gaps."),
)
"""`payment_decisions`: primary key (workflow_id, step, decided_at)."""

AUDITS: Final = (
    Column("audit_id", "text", False, "Random. Key."),
    Column("audited_at", "timestamptz", False, "When the audit was complete, UTC."),
    Column("asked_by", "text", False, "What started the audit: schedule or operator."),
    Column(
        "window_since",
        "timestamptz",
        True,
        "Start of the audited receipts, UTC; null if there is no start.",
    ),
    Column("window_until", "timestamptz", False, "End of the audited receipts, UTC, excluded."),
    Column(
        "is_clean",
        "boolean",
        False,
        "True if no event is missing, duplicated, unexplained or mismatched.",
    ),
    Column("is_settled", "boolean", False, "True if every stage was up to date when it was read."),
    Column("has_client_ledger", "boolean", False, "True if a client ledger was compared too."),
    Column("received_events", "bigint", False, "Events on the raw topics."),
    Column("normalized_events", "bigint", False, "Received events that were normalized."),
    Column("rejected_events", "bigint", False, "Received events that were rejected."),
    Column("unmodelled_events", "bigint", False, "Received events of a type without a model."),
    Column("bronze_events", "bigint", False, "Events in payment_events."),
    Column("quarantine_events", "bigint", False, "Dead letters that did not become an event."),
    Column("lake_events", "bigint", True, "Events in the lake; null if the lake was not audited."),
    Column(
        "facts_events", "bigint", True, "Events in the facts; null if the facts were not audited."
    ),
    Column(
        "pending_events",
        "bigint",
        False,
        "Events in bronze that the lake or the facts don't have yet.",
    ),
    Column("missing_events", "bigint", False, "Events in a stage that are in no later stage."),
    Column(
        "duplicated_events",
        "bigint",
        False,
        "Events in two rows, or in destinations that exclude each other.",
    ),
    Column(
        "unexplained_events", "bigint", False, "Events in a stage that are in no earlier stage."
    ),
    Column(
        "mismatched_events",
        "bigint",
        False,
        "Events with records that differ in id, currency or amount.",
    ),
    Column("elapsed_s", "double precision", False, "How long the audit took, in seconds."),
    Column("ingested_at", "timestamptz", False, "When this row was inserted, UTC."),
    Column(
        "ingest_xid",
        "xid8",
        False,
        "Transaction that wrote the row, for the lake's transaction horizon.",
    ),
    Column("id", "bigint", False, "Order within the table. It may have gaps."),
)
"""`ledger_audits`: primary key audit_id. It has only counts and names no customer."""

ERASURES: Final = (
    Column("id", "bigint", False, "Order of the erasures. Key."),
    Column("provider", "text", False, "The provider of the customer, e.g. stripe."),
    Column("started_at", "timestamptz", False, "When the erasure began, UTC."),
    Column(
        "finished_at",
        "timestamptz",
        True,
        "When the proof was complete, UTC; null if the erasure did not finish.",
    ),
    Column(
        "topics_whole_from",
        "timestamptz",
        True,
        "Kafka may lack webhooks that were received before, UTC.",
    ),
    Column(
        "cuts",
        "jsonb",
        False,
        "Each partition with deleted records, and the first offset that was kept.",
    ),
    Column("found", "jsonb", False, "Number of mentions of the person, by location."),
    Column(
        "remaining",
        "jsonb",
        True,
        "Number of mentions that are left, by location; null until it was counted.",
    ),
)
"""`erasures`: primary key id."""

ERASED_OBJECTS: Final = (
    Column("provider", "text", False, "The provider of the object. Key."),
    Column("object_id", "text", False, "The provider's id of the object. Key."),
    Column("token", "text", False, "The token that replaces the customer's id."),
)
"""`erased_objects`: primary key (provider, object_id)."""

ACTIONS: Final = (
    Column("number", "bigint", False, "Order of the chain, without gaps. Key."),
    Column("acted_at", "timestamptz", False, "When the row was written, UTC."),
    Column("action", "text", False, "The command, e.g. review approve."),
    Column("stage", "text", False, "begun before the command acts, then ended or failed."),
    Column(
        "begun_number",
        "bigint",
        True,
        "The number of the row of the same command with the stage begun; null in that row.",
    ),
    Column(
        "claimed_by",
        "text",
        True,
        "The name that the operator gave; null if the command takes none.",
    ),
    Column("os_user", "text", False, "The operating-system user of the process, by its number."),
    Column("os_uid", "bigint", False, "The number of that user."),
    Column(
        "sudo_user",
        "text",
        True,
        "The user who called sudo, as the environment says; null without sudo.",
    ),
    Column("host", "text", False, "The machine of the process."),
    Column("detail", "jsonb", False, "Ids, counts and the exit code. Never a customer."),
    Column("previous_hash", "text", False, "The hash of the row before."),
    Column("hash", "text", False, "Hex SHA-256 over all other columns."),
)
"""`operator_actions`: primary key number. `domain.action_chain` has the rule of the hash."""

# --- what a provider's own API says -----------------------------------------------------------

_INGESTED_AT: Final = Column(
    "ingested_at", "timestamptz", False, "When this row was inserted, UTC."
)
_ACCOUNT: Final = Column(
    "account", "text", False, "The connected account, or platform for the account of the key. Key."
)

INVENTORY: Final = (
    Column("provider", "text", False, "The provider, e.g. stripe. Key."),
    _ACCOUNT,
    Column("event_id", "text", False, "The provider's event id. Key."),
    Column("event_type", "text", False, "The provider's name of the type."),
    Column("livemode", "boolean", False, "False for the provider's test mode."),
    Column("is_modelled", "boolean", False, "False if no table stores events of this type."),
    Column("created_at", "timestamptz", False, "When the provider created the event, UTC."),
    Column("api_version", "text", True, "The API version in which the provider keeps the event."),
    Column("pending_webhooks", "integer", False, "Endpoints without the event when last listed."),
    Column("identity_sha256", "text", False, "As in payment_events, from the listed body."),
    _INGESTED_AT,
)
"""`provider_event_inventory`: primary key (provider, account, event_id). It names no customer."""

CURSORS: Final = (
    Column("provider", "text", False, "The provider, e.g. stripe. Key."),
    _ACCOUNT,
    Column("livemode", "boolean", False, "False for the provider's test mode. Key."),
    Column("stream", "text", False, "What is pulled, e.g. events. Key."),
    Column(
        "position",
        "text",
        True,
        "The id after which the next page begins; null if the last walk is complete.",
    ),
    Column("window_from", "timestamptz", False, "First creation of the last walk, UTC."),
    Column("window_to", "timestamptz", False, "Last creation of the last walk, UTC."),
    Column(
        "complete_from",
        "timestamptz",
        True,
        "From here to complete_to everything is pulled, UTC; null before the first walk ended.",
    ),
    Column("complete_to", "timestamptz", True, "End of the complete time, UTC."),
    Column("finished_at", "timestamptz", True, "When a walk last reached its end, UTC."),
)
"""`provider_cursors`: primary key (provider, account, livemode, stream)."""

BACKFILLS: Final = (
    Column("provider", "text", False, "The provider, e.g. stripe. Key."),
    _ACCOUNT,
    Column("event_id", "text", False, "The provider's event id. Key."),
    Column("body_sha256", "text", False, "Hex SHA-256 of the body that was fetched and sent."),
    Column("asked_by", "text", False, "The name that the operator gave."),
    Column("sent_at", "timestamptz", False, "When the body was last sent to its raw topic, UTC."),
    _INGESTED_AT,
)
"""`provider_backfills`: primary key (provider, account, event_id).

Where payment_events has this body_sha256, the provider's API is the provenance of the row, and not
a webhook.
"""
