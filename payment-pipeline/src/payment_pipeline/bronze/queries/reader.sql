-- Reading bronze: bronze/reader.py. A window is $1 <= received_at < $2, by the gateway's clock.

-- name: event
-- One event by the provider's id, whoever the provider is.
SELECT * FROM payment_events
WHERE event_id = $1
ORDER BY provider

-- name: payment
-- A payment's events in the order they happened.
SELECT * FROM payment_events
WHERE payment_id = $1
ORDER BY occurred_at, id

-- name: quarantined
-- The dead letters of an event by its id.
SELECT * FROM payment_events_quarantine
WHERE event_id = $1
ORDER BY received_at, id

-- name: events
-- What the ledger needs of each event of a window; no order, so that it can stream.
SELECT provider, event_id, body_sha256, amount_minor, currency, received_at
FROM payment_events
WHERE received_at >= $1 AND received_at < $2

-- name: letters
-- What the ledger needs of each dead letter of a window; the body, since no amount was read of it.
SELECT
    source_topic, source_partition, source_offset, failure, provider, event_id, body_sha256, body,
    received_at
FROM payment_events_quarantine
WHERE received_at >= $1 AND received_at < $2

-- name: totals
-- Events of a window by currency, with the hash total: the plain sum of the amounts, which means
-- nothing but must come out the same at every stage. `currency` null: events without an amount.
SELECT
    CASE WHEN amount_minor IS NOT NULL THEN currency END AS currency,
    count(*) AS events,
    coalesce(sum(amount_minor), 0)::text AS hash_total
FROM payment_events
WHERE received_at >= $1 AND received_at < $2
GROUP BY 1
ORDER BY 1 NULLS LAST

-- name: failures
-- Dead letters of a window by failure.
SELECT failure, count(*) AS letters
FROM payment_events_quarantine
WHERE received_at >= $1 AND received_at < $2
GROUP BY failure
ORDER BY failure

-- name: unscored
-- What waits to be scored, oldest first.
SELECT * FROM payment_events
WHERE inference_status = 'unavailable'
ORDER BY id
LIMIT $1
