-- The queries of books/inventory.py and books/backfill.py.

-- name: cursor
-- Where the walk of an account's stream stands.
SELECT position, window_from, window_to, complete_from, complete_to
FROM provider_cursors
WHERE provider = $1 AND account = $2 AND livemode = $3 AND stream = $4

-- name: keep
-- Stores the events of a page. An event that is listed again changes only what may change.
INSERT INTO provider_event_inventory AS known (
    provider, account, event_id, event_type, livemode, is_modelled, created_at, api_version,
    pending_webhooks, identity_sha256
)
SELECT $1, $2, listed.*
FROM unnest(
    $3::text[], $4::text[], $5::bool[], $6::bool[], $7::timestamptz[], $8::text[], $9::int[],
    $10::text[]
) AS listed
ON CONFLICT (provider, account, event_id) DO UPDATE SET
    is_modelled = excluded.is_modelled,
    pending_webhooks = excluded.pending_webhooks
WHERE
    (known.is_modelled, known.pending_webhooks)
    IS DISTINCT FROM (excluded.is_modelled, excluded.pending_webhooks)

-- name: advance
-- Moves the cursor behind the page that the same transaction stores.
INSERT INTO provider_cursors AS cursor (
    provider, account, livemode, stream, position, window_from, window_to
) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (provider, account, livemode, stream) DO UPDATE SET
    position = excluded.position,
    window_from = excluded.window_from,
    window_to = excluded.window_to

-- name: finish
-- The walk of a window is complete. The complete time grows if the window touches it; after a gap it
-- begins again.
UPDATE provider_cursors SET
    position = NULL,
    complete_from = CASE
        WHEN window_from <= complete_to THEN least(complete_from, window_from)
        ELSE window_from
    END,
    complete_to = CASE
        WHEN window_from <= complete_to THEN greatest(complete_to, window_to)
        ELSE window_to
    END,
    finished_at = clock_timestamp()
WHERE provider = $1 AND account = $2 AND livemode = $3 AND stream = $4

-- name: patience
-- A comparison of ten million events takes minutes.
SET LOCAL statement_timeout = '10min'

-- name: missing
-- Events that the provider lists and that nobody received, the oldest first.
SELECT account, event_id, event_type, livemode, created_at, identity_sha256
FROM provider_event_inventory AS listed
WHERE
    provider = $1
    AND is_modelled
    AND created_at < $2
    AND NOT EXISTS (
        SELECT FROM payment_events AS stored
        WHERE stored.provider = listed.provider AND stored.event_id = listed.event_id
    )
    AND NOT EXISTS (
        SELECT FROM payment_events_quarantine AS rejected
        WHERE rejected.provider = listed.provider AND rejected.event_id = listed.event_id
    )
ORDER BY created_at, event_id
LIMIT $3

-- name: arrived
-- Which of these events are in a table now, and whether it is bronze.
SELECT event_id, true AS is_stored FROM payment_events
WHERE provider = $1 AND event_id = ANY ($2)
UNION ALL
SELECT event_id, false FROM payment_events_quarantine
WHERE provider = $1 AND event_id = ANY ($2)

-- name: intend
-- Notes what will be sent, before it is sent. An event that is sent again has its newest body.
INSERT INTO provider_backfills (provider, account, event_id, body_sha256, asked_by, sent_at)
SELECT $1, sent.account, sent.event_id, sent.body_sha256, $5, clock_timestamp()
FROM unnest($2::text[], $3::text[], $4::text[]) AS sent (account, event_id, body_sha256)
ON CONFLICT (provider, account, event_id) DO UPDATE SET
    body_sha256 = excluded.body_sha256,
    asked_by = excluded.asked_by,
    sent_at = excluded.sent_at

-- name: accounts
-- How far each account is pulled, and how many events are listed.
SELECT
    cursor.account, cursor.livemode, cursor.complete_from, cursor.complete_to,
    (
        SELECT count(*) FROM provider_event_inventory AS listed
        WHERE
            listed.provider = cursor.provider AND listed.account = cursor.account
            AND listed.livemode = cursor.livemode
    ) AS events
FROM provider_cursors AS cursor
WHERE cursor.provider = $1 AND cursor.stream = $2
ORDER BY cursor.account <> 'platform', cursor.account, cursor.livemode

-- name: unlisted
-- Events in bronze that the provider does not list, the oldest first. Only accounts, modes and times
-- are judged that are pulled completely, less an edge at both ends.
SELECT stored.event_id
FROM provider_cursors AS cursor
JOIN payment_events AS stored
    ON
        stored.provider = cursor.provider
        AND coalesce(stored.merchant_id, 'platform') = cursor.account
        AND stored.livemode = cursor.livemode
        AND stored.occurred_at >= cursor.complete_from + $3
        AND stored.occurred_at <= cursor.complete_to - $3
WHERE
    cursor.provider = $1
    AND cursor.stream = $2
    AND NOT EXISTS (
        SELECT FROM provider_event_inventory AS listed
        WHERE listed.provider = stored.provider AND listed.event_id = stored.event_id
    )
ORDER BY stored.occurred_at, stored.event_id
LIMIT $4
