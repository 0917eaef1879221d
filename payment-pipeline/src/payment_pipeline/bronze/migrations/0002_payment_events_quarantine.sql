-- The table of dead letters. May run twice.

CREATE TABLE IF NOT EXISTS payment_events_quarantine (
    source_topic        text NOT NULL,
    source_partition    integer NOT NULL,
    source_offset       bigint NOT NULL,
    failure             text NOT NULL,
    provider            text NOT NULL,
    event_id            text,
    provider_event_type text,
    errors              jsonb NOT NULL,
    component           text NOT NULL,
    component_version   text NOT NULL,
    body                bytea NOT NULL,
    body_sha256         text NOT NULL,
    verdict             text NOT NULL,
    received_at         timestamptz NOT NULL,
    rejected_at         timestamptz NOT NULL,
    ingested_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    traceparent         text,
    workflow_id         text NOT NULL,
    ingest_xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id                  bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    CONSTRAINT payment_events_quarantine_key
        PRIMARY KEY (source_topic, source_partition, source_offset, failure)
);

-- As in payment_events: the order of the lake, and the time windows of the ledger.
CREATE INDEX IF NOT EXISTS payment_events_quarantine_horizon
    ON payment_events_quarantine (ingest_xid, id);
CREATE INDEX IF NOT EXISTS payment_events_quarantine_received
    ON payment_events_quarantine (received_at);

-- The event id, for `payments trace`. It is a hash index, because a sender chooses the id, and a
-- B-tree refuses a key of more than 2,704 bytes. Such an event could not be stored anywhere.
CREATE INDEX IF NOT EXISTS payment_events_quarantine_event
    ON payment_events_quarantine USING hash (event_id);

COMMENT ON TABLE payment_events_quarantine IS
    'One row for each event that could not become one of payment_events, with its signed bytes.';
COMMENT ON COLUMN payment_events_quarantine.source_topic IS 'Topic of the record that ended here. Key.';
COMMENT ON COLUMN payment_events_quarantine.source_partition IS 'Partition in source_topic. Key.';
COMMENT ON COLUMN payment_events_quarantine.source_offset IS 'Offset in source_partition. Key.';
COMMENT ON COLUMN payment_events_quarantine.failure IS 'Failure class, e.g. invalid or conflicting_body. Key.';
COMMENT ON COLUMN payment_events_quarantine.provider IS 'Who sent the webhook.';
COMMENT ON COLUMN payment_events_quarantine.event_id IS 'The provider''s event id, where one could be read.';
COMMENT ON COLUMN payment_events_quarantine.provider_event_type IS 'The provider''s own name of the type.';
COMMENT ON COLUMN payment_events_quarantine.errors IS 'Every error with its path in the body.';
COMMENT ON COLUMN payment_events_quarantine.component IS 'Who rejected it: gateway, normalizer or orchestrator.';
COMMENT ON COLUMN payment_events_quarantine.component_version IS 'Version of that component.';
COMMENT ON COLUMN payment_events_quarantine.body IS 'The signed bytes, unchanged.';
COMMENT ON COLUMN payment_events_quarantine.body_sha256 IS 'Hex SHA-256 of body.';
COMMENT ON COLUMN payment_events_quarantine.verdict IS 'How the gateway verified the signature.';
COMMENT ON COLUMN payment_events_quarantine.received_at IS 'When the gateway had the whole body, UTC.';
COMMENT ON COLUMN payment_events_quarantine.rejected_at IS 'When the component gave up on it, UTC.';
COMMENT ON COLUMN payment_events_quarantine.ingested_at IS 'When this row was inserted, UTC.';
COMMENT ON COLUMN payment_events_quarantine.traceparent IS 'W3C trace context of the receipt.';
COMMENT ON COLUMN payment_events_quarantine.workflow_id IS 'Temporal workflow that wrote the row.';
COMMENT ON COLUMN payment_events_quarantine.ingest_xid IS 'Transaction that wrote the row: the lake''s horizon.';
COMMENT ON COLUMN payment_events_quarantine.id IS 'Order within the table; identity, gaps are normal.';
