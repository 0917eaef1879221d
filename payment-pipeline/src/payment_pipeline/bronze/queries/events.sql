-- Writes payment_events: bronze/writer.py. bronze/rows.py has the same lists of columns.

-- name: create_incoming
-- The table for a copied batch, because COPY can't skip rows that exist already. It is created once
-- for each connection, and each commit empties it.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_events ON COMMIT DELETE ROWS AS
SELECT
    provider, event_id, event_type, provider_event_type, kind, occurred_at, received_at,
    api_version, livemode, merchant_id, customer_id, payment_id, object_id, status,
    provider_status, amount_minor, currency, currency_exponent, attributes, fraud_score, churn_score, retry_strategy, scores,
    inference_status, body_sha256, identity_sha256, source_topic, source_partition, source_offset,
    normalizer_version, traceparent, workflow_id
FROM payment_events
WITH NO DATA

-- name: insert
-- Inserts the new events, and returns their keys. The batch was copied in the order of the key, so
-- two writers of the same events wait in the same order and can't deadlock.
INSERT INTO payment_events (
    provider, event_id, event_type, provider_event_type, kind, occurred_at, received_at,
    api_version, livemode, merchant_id, customer_id, payment_id, object_id, status,
    provider_status, amount_minor, currency, currency_exponent, attributes, fraud_score, churn_score, retry_strategy, scores,
    inference_status, body_sha256, identity_sha256, source_topic, source_partition, source_offset,
    normalizer_version, traceparent, workflow_id
)
SELECT
    provider, event_id, event_type, provider_event_type, kind, occurred_at, received_at,
    api_version, livemode, merchant_id, customer_id, payment_id, object_id, status,
    provider_status, amount_minor, currency, currency_exponent, attributes, fraud_score, churn_score, retry_strategy, scores,
    inference_status, body_sha256, identity_sha256, source_topic, source_partition, source_offset,
    normalizer_version, traceparent, workflow_id
FROM incoming_events
ON CONFLICT (provider, event_id) DO NOTHING
RETURNING provider, event_id

-- name: stored
-- The stored rows of these keys: the hashes that tell which deliveries are of the same event, and
-- the workflow that wrote the row.
SELECT
    stored.provider, stored.event_id, stored.body_sha256, stored.identity_sha256,
    stored.workflow_id
FROM unnest($1::text[], $2::text[]) AS wanted (provider, event_id)
JOIN payment_events AS stored USING (provider, event_id)

-- name: rescore
-- Scores rows that were written while inference was down. Because of the new transaction id, the lake
-- loads them again. Rows are locked in the order of the key, so that two calls can't deadlock.
WITH scored AS (
    SELECT *
    FROM unnest(
        $1::text[], $2::text[], $3::float8[], $4::float8[], $5::text[], $6::jsonb[], $7::text[]
    ) AS given (
        provider, event_id, fraud_score, churn_score, retry_strategy, scores, inference_status
    )
),
locked AS (
    SELECT waiting.provider, waiting.event_id
    FROM scored
    JOIN payment_events AS waiting USING (provider, event_id)
    WHERE waiting.inference_status = 'unavailable'
    ORDER BY waiting.provider, waiting.event_id
    FOR UPDATE OF waiting
)
UPDATE payment_events AS event
SET
    fraud_score = scored.fraud_score,
    churn_score = scored.churn_score,
    retry_strategy = scored.retry_strategy,
    scores = scored.scores,
    inference_status = scored.inference_status,
    ingest_xid = pg_current_xact_id()
FROM locked
JOIN scored USING (provider, event_id)
WHERE event.provider = locked.provider AND event.event_id = locked.event_id
RETURNING event.event_id
