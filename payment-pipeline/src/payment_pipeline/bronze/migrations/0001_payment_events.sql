-- The table of events. It may run twice: if a process dies between a migration and its mark, the
-- migration runs again.

CREATE TABLE IF NOT EXISTS payment_events (
    provider            text NOT NULL,
    event_id            text NOT NULL,
    event_type          text NOT NULL,
    provider_event_type text NOT NULL,
    kind                text NOT NULL,
    occurred_at         timestamptz NOT NULL,
    received_at         timestamptz NOT NULL,
    ingested_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    api_version         text,
    livemode            boolean NOT NULL,
    merchant_id         text,
    customer_id         text,
    payment_id          text,
    object_id           text,
    status              text,
    amount_minor        bigint,
    currency            text,
    currency_exponent   smallint,
    attributes          jsonb NOT NULL,
    fraud_score         double precision,
    churn_score         double precision,
    retry_strategy      text,
    scores              jsonb,
    inference_status    text NOT NULL,
    body_sha256         text NOT NULL,
    source_topic        text NOT NULL,
    source_partition    integer NOT NULL,
    source_offset       bigint NOT NULL,
    normalizer_version  text NOT NULL,
    traceparent         text,
    workflow_id         text NOT NULL,
    ingest_xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id                  bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    -- The id comes first, because its first bytes differ between rows, and because `payments trace`
    -- looks up the id without a provider.
    CONSTRAINT payment_events_key PRIMARY KEY (event_id, provider),
    CONSTRAINT amount_has_currency CHECK (amount_minor IS NULL OR currency IS NOT NULL),
    CONSTRAINT currency_has_exponent CHECK (currency IS NULL OR currency_exponent IS NOT NULL),
    CONSTRAINT inference_status_known
        CHECK (inference_status IN ('scored', 'not_applicable', 'unavailable'))
);

-- The lake reads the rows below the transaction horizon in this order. New entries go to the end.
CREATE INDEX IF NOT EXISTS payment_events_horizon ON payment_events (ingest_xid, id);

-- The events of a payment, for `payments trace` and for support.
CREATE INDEX IF NOT EXISTS payment_events_payment ON payment_events (payment_id)
    WHERE payment_id IS NOT NULL;

-- The events of a customer, for support and for erasures.
CREATE INDEX IF NOT EXISTS payment_events_customer ON payment_events (customer_id)
    WHERE customer_id IS NOT NULL;

-- The rows of a workflow that one sees in the Temporal UI. A thousand equal keys need few entries.
CREATE INDEX IF NOT EXISTS payment_events_workflow ON payment_events (workflow_id);

-- The time windows of the ledger. Rows arrive roughly in the order of receipt, so block ranges are
-- enough. They need a few kilobytes and cost nearly nothing at a write.
CREATE INDEX IF NOT EXISTS payment_events_received ON payment_events
    USING brin (received_at) WITH (pages_per_range = 32, autosummarize = on);

-- The events that wait for their scores. It is empty except during an outage of inference.
CREATE INDEX IF NOT EXISTS payment_events_unscored ON payment_events (id)
    WHERE inference_status = 'unavailable';

COMMENT ON TABLE payment_events IS
    'One row an event, exactly once: what was normalized, how it was scored, where it came from.';
COMMENT ON COLUMN payment_events.provider IS 'Who sent the webhook, e.g. stripe. Key with event_id.';
COMMENT ON COLUMN payment_events.event_id IS 'The provider''s event id. Key with provider.';
COMMENT ON COLUMN payment_events.event_type IS 'Provider-neutral type, <kind>.<what happened>.';
COMMENT ON COLUMN payment_events.provider_event_type IS 'The provider''s own name of the type.';
COMMENT ON COLUMN payment_events.kind IS 'payment, charge, dispute, refund, payout, invoice, …';
COMMENT ON COLUMN payment_events.occurred_at IS 'When the provider says it happened, UTC.';
COMMENT ON COLUMN payment_events.received_at IS 'When the gateway had the whole body, UTC.';
COMMENT ON COLUMN payment_events.ingested_at IS 'When this row was inserted, UTC.';
COMMENT ON COLUMN payment_events.api_version IS 'The provider''s API version of the body.';
COMMENT ON COLUMN payment_events.livemode IS 'False for the provider''s test mode.';
COMMENT ON COLUMN payment_events.merchant_id IS 'The connected account; null is the platform itself.';
COMMENT ON COLUMN payment_events.customer_id IS 'The payer, by the provider''s id.';
COMMENT ON COLUMN payment_events.payment_id IS 'The payment intent, or the charge where there is none.';
COMMENT ON COLUMN payment_events.object_id IS 'The provider''s object that the event is about.';
COMMENT ON COLUMN payment_events.status IS 'The object''s status, as the provider names it.';
COMMENT ON COLUMN payment_events.amount_minor IS 'Amount in the provider''s minor unit of currency.';
COMMENT ON COLUMN payment_events.currency IS 'ISO 4217 code, upper case.';
COMMENT ON COLUMN payment_events.currency_exponent IS 'major = amount_minor / 10^currency_exponent.';
COMMENT ON COLUMN payment_events.attributes IS 'What only this kind has; see the PaymentEvent schema.';
COMMENT ON COLUMN payment_events.fraud_score IS 'Calibrated probability of fraud, 0 to 1.';
COMMENT ON COLUMN payment_events.churn_score IS 'Calibrated probability of churn, 0 to 1.';
COMMENT ON COLUMN payment_events.retry_strategy IS 'The advised retry of a failed payment.';
COMMENT ON COLUMN payment_events.scores IS 'Each score with its model, version and top reasons.';
COMMENT ON COLUMN payment_events.inference_status IS 'scored, not_applicable or unavailable.';
COMMENT ON COLUMN payment_events.body_sha256 IS 'Hex SHA-256 of the signed body.';
COMMENT ON COLUMN payment_events.source_topic IS 'Raw Kafka topic of the webhook.';
COMMENT ON COLUMN payment_events.source_partition IS 'Partition in source_topic.';
COMMENT ON COLUMN payment_events.source_offset IS 'Offset in source_partition.';
COMMENT ON COLUMN payment_events.normalizer_version IS 'Version of the code that normalized it.';
COMMENT ON COLUMN payment_events.traceparent IS 'W3C trace context of the receipt.';
COMMENT ON COLUMN payment_events.workflow_id IS 'Temporal workflow that wrote the row.';
COMMENT ON COLUMN payment_events.ingest_xid IS 'Transaction that wrote the row: the lake''s horizon.';
COMMENT ON COLUMN payment_events.id IS 'Order within the table; identity, gaps are normal.';
