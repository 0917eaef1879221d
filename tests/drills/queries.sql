-- What the drills ask of bronze, and what they write to it.

-- name: insert_events
-- Events <prefix>1 … in one transaction, as no pipeline wrote them: for the lake's drills. Received
-- long ago, before what the ledger's checks of a later drill look at: no webhook brought them.
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
-- What a watermark by id reads: the control of the transaction horizon.
SELECT event_id, id FROM payment_events WHERE id > %(last)s ORDER BY id
