-- What the ledger asks of the lakehouse, through Trino. In braces: the schemas; ? is a parameter.

-- name: tables
-- Which of the tables that are audited exist.
SELECT table_schema, table_name
FROM information_schema.tables
WHERE table_schema IN ('{data}', '{marts}')

-- name: watermark
-- How far a table has been loaded: the loader commits it with the rows (ingest_xid, id).
SELECT key, value FROM {data}."{table}$properties"

-- name: facts_reached
-- How far the facts have been built: the newest row that they have, in the loader's order. A
-- transaction may come in parts, so its rows in the lake tell how much of it was there.
WITH newest AS (
    SELECT provider, event_id, ingest_xid
    FROM {marts}.fct_payment_events
    WHERE ingest_xid = (SELECT max(ingest_xid) FROM {marts}.fct_payment_events)
)

SELECT max(newest.ingest_xid), max(loaded.id)
FROM newest
LEFT JOIN {data}.payment_events AS loaded
    ON
        newest.provider = loaded.provider
        AND newest.event_id = loaded.event_id
        AND newest.ingest_xid = loaded.ingest_xid

-- name: lake
-- Every event of a window of receipts: ? since, ? until; before them the watermark of the facts.
SELECT
    provider, event_id, body_sha256, kind, amount_minor, currency,
    date_diff('day', DATE '1970-01-01', CAST(received_at AT TIME ZONE 'UTC' AS date)) AS day,
    ingest_xid > ? OR (ingest_xid = ? AND id > ?) AS pending
FROM {data}.payment_events
WHERE {which}

-- name: facts
-- The same of the marts.
SELECT
    provider, event_id, body_sha256, kind, amount_minor, currency,
    date_diff('day', DATE '1970-01-01', CAST(received_at AT TIME ZONE 'UTC' AS date)) AS day,
    false AS pending
FROM {marts}.fct_payment_events
WHERE {which}

-- name: lake_quarantine
-- Every dead letter of a window of receipts. Its identity is taken from the bytes, if it has any:
-- the same bytes are the same money, so they need not be sent here.
SELECT
    provider,
    event_id,
    if(length(body) > 0, lower(to_hex(sha256(body))), body_sha256) AS body_sha256,
    date_diff('day', DATE '1970-01-01', CAST(received_at AT TIME ZONE 'UTC' AS date)) AS day
FROM {data}.payment_events_quarantine
WHERE {which}
