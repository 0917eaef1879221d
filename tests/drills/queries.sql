-- Queries of the lake drills on bronze.

-- name: insert_events
-- Inserts the events <prefix>1, <prefix>2, … in one transaction, without the pipeline. The rows have
-- no webhooks, so their received_at is 30 days ago: the hourly ledger checks do not look that far.
INSERT INTO payment_events (
    provider, event_id, event_type, provider_event_type, kind, occurred_at, received_at,
    livemode, amount_minor, currency, currency_exponent, attributes,
    inference_status, body_sha256, source_topic, source_partition, source_offset,
    normalizer_version, workflow_id
)
SELECT
    'stripe', %(prefix)s || n, 'charge.succeeded', 'charge.succeeded', 'charge', now(),
    now() - interval '30 days', false, 100 + n, 'EUR', 2, jsonb_build_object('n', n),
    'not_applicable', repeat('0', 64), 'webhooks.stripe.charge', 0, n, 'drill', 'drill'
FROM generate_series(1, %(rows)s) AS n

-- name: after_id
-- Reads the rows above an id watermark: the control for the transaction horizon.
SELECT event_id, id FROM payment_events WHERE id > %(last)s ORDER BY id
