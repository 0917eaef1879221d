-- The table of decisions that follow the scores of payments. May run twice.

CREATE TABLE IF NOT EXISTS payment_decisions (
    workflow_id   text NOT NULL,
    step          integer NOT NULL,
    kind          text NOT NULL,
    provider      text NOT NULL,
    payment_id    text NOT NULL,
    event_id      text NOT NULL,
    customer_id   text,
    merchant_id   text,
    outcome       text NOT NULL,
    decided_at    timestamptz NOT NULL,
    fraud_score   double precision,
    strategy      text,
    due_at        timestamptz,
    attempts_left integer,
    decided_by    text,
    note          text,
    ingested_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ingest_xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id            bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    -- The time is part of the key, because Temporal forgets the id of a closed workflow after its
    -- retention, and a payment may be reviewed again.
    CONSTRAINT payment_decisions_key PRIMARY KEY (workflow_id, step, decided_at)
);

-- The lake reads the rows below the transaction horizon in this order, as in payment_events.
CREATE INDEX IF NOT EXISTS payment_decisions_horizon ON payment_decisions (ingest_xid, id);

CREATE INDEX IF NOT EXISTS payment_decisions_payment ON payment_decisions (payment_id);

COMMENT ON TABLE payment_decisions IS
    'What reviews decided and recoveries advised, and how they ended. Append-only.';
COMMENT ON COLUMN payment_decisions.workflow_id IS 'The review or recovery in Temporal. Key.';
COMMENT ON COLUMN payment_decisions.step IS 'Order within the workflow, from 1. Key.';
COMMENT ON COLUMN payment_decisions.kind IS 'review or recovery.';
COMMENT ON COLUMN payment_decisions.provider IS 'Who sent the webhook, e.g. stripe.';
COMMENT ON COLUMN payment_decisions.payment_id IS 'As in payment_events.';
COMMENT ON COLUMN payment_decisions.event_id IS 'The event that led to the workflow.';
COMMENT ON COLUMN payment_decisions.customer_id IS 'The payer, by the provider''s id.';
COMMENT ON COLUMN payment_decisions.merchant_id IS 'The connected account; null is the platform itself.';
COMMENT ON COLUMN payment_decisions.outcome IS 'pending (an advice), approved, declined, recovered, …';
COMMENT ON COLUMN payment_decisions.decided_at IS 'When it was decided or advised, UTC. Key.';
COMMENT ON COLUMN payment_decisions.fraud_score IS 'Reviews: the score that led to it.';
COMMENT ON COLUMN payment_decisions.strategy IS 'Recoveries: the advised retry strategy.';
COMMENT ON COLUMN payment_decisions.due_at IS 'Recoveries: when the advised attempt is due, UTC.';
COMMENT ON COLUMN payment_decisions.attempts_left IS 'Recoveries: what the network still allows.';
COMMENT ON COLUMN payment_decisions.decided_by IS 'Reviews: who answered; null is the timeout.';
COMMENT ON COLUMN payment_decisions.note IS 'Reviews: what the reviewer wrote.';
COMMENT ON COLUMN payment_decisions.ingested_at IS 'When this row was inserted, UTC.';
COMMENT ON COLUMN payment_decisions.ingest_xid IS 'Transaction that wrote the row: the lake''s horizon.';
COMMENT ON COLUMN payment_decisions.id IS 'Order within the table; identity, gaps are normal.';
