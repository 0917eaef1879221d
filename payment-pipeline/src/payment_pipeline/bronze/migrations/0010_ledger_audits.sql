-- The counts of each audit, for the dashboards. May run twice.

CREATE TABLE IF NOT EXISTS ledger_audits (
    audit_id           text NOT NULL,
    audited_at         timestamptz NOT NULL,
    asked_by           text NOT NULL,
    window_since       timestamptz,
    window_until       timestamptz NOT NULL,
    is_clean           boolean NOT NULL,
    is_settled         boolean NOT NULL,
    has_client_ledger  boolean NOT NULL,
    received_events    bigint NOT NULL,
    normalized_events  bigint NOT NULL,
    rejected_events    bigint NOT NULL,
    unmodelled_events  bigint NOT NULL,
    bronze_events      bigint NOT NULL,
    quarantine_events  bigint NOT NULL,
    lake_events        bigint,
    facts_events       bigint,
    pending_events     bigint NOT NULL,
    missing_events     bigint NOT NULL,
    duplicated_events  bigint NOT NULL,
    unexplained_events bigint NOT NULL,
    mismatched_events  bigint NOT NULL,
    elapsed_s          double precision NOT NULL,
    ingested_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    ingest_xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id                 bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    CONSTRAINT ledger_audits_key PRIMARY KEY (audit_id)
);

-- The lake reads the rows below the transaction horizon in this order, as in payment_events.
CREATE INDEX IF NOT EXISTS ledger_audits_horizon ON ledger_audits (ingest_xid, id);

COMMENT ON TABLE ledger_audits IS
    'A row an audit of the whole way: its window, its counts and its verdict. Append-only.';
COMMENT ON COLUMN ledger_audits.audit_id IS 'Random. Key.';
COMMENT ON COLUMN ledger_audits.audited_at IS 'When the answer was there, UTC.';
COMMENT ON COLUMN ledger_audits.asked_by IS 'schedule or operator.';
COMMENT ON COLUMN ledger_audits.window_since IS 'First receipt it is of, UTC; null: all there are.';
COMMENT ON COLUMN ledger_audits.window_until IS 'Receipts before this are in it, UTC.';
COMMENT ON COLUMN ledger_audits.is_clean IS 'Nothing missing, twice, unexplained or mismatched.';
COMMENT ON COLUMN ledger_audits.is_settled IS 'No stage was behind when it was read.';
COMMENT ON COLUMN ledger_audits.has_client_ledger IS 'Whether a client''s own ledger was held to it.';
COMMENT ON COLUMN ledger_audits.received_events IS 'Events on the raw topics.';
COMMENT ON COLUMN ledger_audits.normalized_events IS 'Of these, normalized.';
COMMENT ON COLUMN ledger_audits.rejected_events IS 'Of these, no event could be made of.';
COMMENT ON COLUMN ledger_audits.unmodelled_events IS 'Of these, genuine and without a model.';
COMMENT ON COLUMN ledger_audits.bronze_events IS 'Events in payment_events.';
COMMENT ON COLUMN ledger_audits.quarantine_events IS 'Dead letters that are no event.';
COMMENT ON COLUMN ledger_audits.lake_events IS 'Events in the lake; null: it wasn''t audited.';
COMMENT ON COLUMN ledger_audits.facts_events IS 'Events in the facts; null: they weren''t audited.';
COMMENT ON COLUMN ledger_audits.pending_events IS 'In bronze, and on their way to the lake or facts.';
COMMENT ON COLUMN ledger_audits.missing_events IS 'In a stage, and in none that follows it.';
COMMENT ON COLUMN ledger_audits.duplicated_events IS 'In two rows, or in places that exclude each other.';
COMMENT ON COLUMN ledger_audits.unexplained_events IS 'In a stage, and in none before it.';
COMMENT ON COLUMN ledger_audits.mismatched_events IS 'Whose records disagree in id, currency or amount.';
COMMENT ON COLUMN ledger_audits.elapsed_s IS 'How long the audit took, in seconds.';
COMMENT ON COLUMN ledger_audits.ingested_at IS 'When this row was inserted, UTC.';
COMMENT ON COLUMN ledger_audits.ingest_xid IS 'Transaction that wrote the row: the lake''s horizon.';
COMMENT ON COLUMN ledger_audits.id IS 'Order within the table; identity, gaps are normal.';
