-- Reading bronze: bronze/reader.py.

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

-- name: unscored
-- What waits to be scored, oldest first.
SELECT * FROM payment_events
WHERE inference_status = 'unavailable'
ORDER BY id
LIMIT $1
