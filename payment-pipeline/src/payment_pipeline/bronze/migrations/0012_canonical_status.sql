-- Statuses become provider-neutral; the provider's own word moves to provider_status. The identity of
-- an event may be something else than its body. May run twice.

ALTER TABLE payment_events
    ADD COLUMN IF NOT EXISTS provider_status text,
    ADD COLUMN IF NOT EXISTS identity_sha256 text;
ALTER TABLE payment_events_history
    ADD COLUMN IF NOT EXISTS provider_status text,
    ADD COLUMN IF NOT EXISTS identity_sha256 text;
ALTER TABLE payment_events_quarantine
    ADD COLUMN IF NOT EXISTS identity_sha256 text;

COMMENT ON COLUMN payment_events.status IS
    'The object''s status, provider-neutral; a closed list per kind.';
COMMENT ON COLUMN payment_events_history.status IS
    'The object''s status, provider-neutral; a closed list per kind.';
COMMENT ON COLUMN payment_events.provider_status IS
    'The object''s status, as the provider names it.';
COMMENT ON COLUMN payment_events_history.provider_status IS
    'The object''s status, as the provider names it.';
COMMENT ON COLUMN payment_events.identity_sha256 IS
    'Hex SHA-256 of what makes two deliveries the same event; null: it is body_sha256.';
COMMENT ON COLUMN payment_events_history.identity_sha256 IS
    'Hex SHA-256 of what makes two deliveries the same event; null: it is body_sha256.';
COMMENT ON COLUMN payment_events_quarantine.identity_sha256 IS
    'Hex SHA-256 of what makes two deliveries the same event; null: it is body_sha256.';

-- The rows so far are Stripe's. The new transaction id makes the lake load them again. A replay
-- computes the other fields that the normalizer adds; this mapping serves rows that Kafka no longer has.
UPDATE payment_events
SET
    provider_status = status,
    status = CASE
        WHEN event_type = 'payment.created' THEN 'created'
        WHEN event_type = 'payment.requires_action' THEN 'requires_action'
        WHEN event_type IN ('payment.processing', 'payment.partially_funded') THEN 'processing'
        WHEN event_type = 'payment.failed' THEN 'failed'
        WHEN event_type = 'payment.amount_capturable_updated' THEN 'authorized'
        WHEN event_type = 'payment.succeeded' THEN 'succeeded'
        WHEN event_type IN ('payment.canceled', 'charge.expired') THEN 'canceled'
        WHEN kind = 'charge' AND status = 'failed' THEN 'failed'
        WHEN kind = 'charge' AND status = 'pending' THEN 'processing'
        WHEN kind = 'charge' AND status = 'succeeded' AND attributes ->> 'captured' = 'true'
            THEN 'succeeded'
        WHEN
            kind = 'charge' AND status = 'succeeded' AND attributes ->> 'captured' = 'false'
            THEN CASE WHEN attributes ->> 'refunded' = 'true' THEN 'canceled' ELSE 'authorized' END
        WHEN kind = 'dispute' AND status IN ('warning_needs_response', 'warning_under_review')
            THEN 'inquiry'
        WHEN kind = 'dispute' AND status = 'warning_closed' THEN 'inquiry_closed'
        WHEN kind = 'dispute' AND status = 'charge_refunded' THEN 'refunded'
        WHEN
            kind = 'dispute'
            AND status IN ('needs_response', 'under_review', 'won', 'lost', 'prevented')
            THEN status
        WHEN
            kind = 'refund'
            AND status IN ('pending', 'requires_action', 'succeeded', 'failed', 'canceled')
            THEN status
        WHEN
            kind = 'payout'
            AND status IN ('pending', 'in_transit', 'paid', 'failed', 'canceled')
            THEN status
        WHEN
            kind = 'invoice' AND status IN ('draft', 'open', 'paid', 'uncollectible', 'void')
            THEN status
        WHEN kind = 'subscription' AND status = 'incomplete_expired' THEN 'expired'
        WHEN
            kind = 'subscription'
            AND status IN (
                'incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'canceled'
            )
            THEN status
        WHEN kind IN ('customer', 'fraud_warning') THEN NULL
        ELSE 'unknown'
    END,
    ingest_xid = pg_current_xact_id()
WHERE provider_status IS NULL AND status IS NOT NULL AND kind <> 'review';

-- A review had no status. Its type says it.
UPDATE payment_events
SET
    status = CASE event_type WHEN 'review.opened' THEN 'open' ELSE 'closed' END,
    ingest_xid = pg_current_xact_id()
WHERE kind = 'review' AND status IS NULL;
