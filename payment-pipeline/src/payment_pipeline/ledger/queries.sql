-- What the ledger asks of bronze. Parameters are asyncpg's.

-- name: events_received
-- Every event of a window of receipts, streamed by the index on received_at.
SELECT provider, event_id, body_sha256, kind, amount_minor, currency
FROM payment_events
WHERE ($1::timestamptz IS NULL OR received_at >= $1) AND received_at < $2

-- name: quarantined_received
-- Every dead letter of a window of receipts. The body is there for its control total.
SELECT provider, event_id, body_sha256, body
FROM payment_events_quarantine
WHERE ($1::timestamptz IS NULL OR received_at >= $1) AND received_at < $2

-- name: events_by_identity
-- Of these events (ids $1, beginnings of their bodies' hashes $2) those in bronze, whenever they
-- were received: a duplicate delivery in the window finds the row that the first one left.
SELECT provider, event_id, body_sha256, kind, amount_minor, currency
FROM payment_events
JOIN unnest($1::text[], $2::text[]) AS lost (id, identity)
    ON event_id = lost.id AND starts_with(body_sha256, lost.identity)

-- name: quarantined_by_identity
-- The same of the dead letters; one of a body, however often it was delivered.
SELECT DISTINCT ON (body_sha256) provider, event_id, body_sha256, body
FROM payment_events_quarantine
WHERE left(body_sha256, $2) = ANY ($1::text[])
