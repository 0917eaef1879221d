-- Reading bronze: bronze/reader.py.

-- name: feature_states
-- The states of some entities as they were committed last; $1, $2, $3 as in features.sql.
SELECT
    provider, entity, entity_id,
    events, attempts, successes, failures, refunds, disputes, fraud_warnings, invoices_failed,
    first_seen_at, last_seen_at, last_success_at, recent_attempts_at, recent_failures_at,
    counterparties, amounts, subscription_status, subscription_status_at
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (provider, entity, entity_id)
JOIN entity_features AS state USING (provider, entity, entity_id)

-- name: unscored
-- What waits to be scored, oldest first.
SELECT * FROM payment_events
WHERE inference_status = 'unavailable'
ORDER BY id
LIMIT $1

-- name: unscored_count
-- How many wait to be scored.
SELECT count(*) FROM payment_events WHERE inference_status = 'unavailable'
