-- The ledger's queries on the lakehouse, through Trino. Braces hold schemas; ? is a parameter.

-- name: tables
-- The tables that exist with the columns that the audit reads. A table that an earlier version wrote
-- gets the column of the identity with the next load or build.
SELECT table_schema, table_name
FROM information_schema.columns
WHERE table_schema IN ('{data}', '{marts}') AND column_name = 'identity_sha256'

-- name: watermark
-- The watermark (ingest_xid, id) of a table. The loader commits it with the rows.
SELECT key, value FROM {data}."{table}$properties"

-- name: facts_reached
-- The watermark of the facts: their newest row in the loader's order. The rows of one transaction
-- may be loaded in parts, so its rows in the lake tell how many of them the facts have.
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
-- Every event of a window of receipt times. Parameters: watermark of the facts, since, until.
SELECT
    provider, event_id, body_sha256, identity_sha256, kind, amount_minor, currency,
    date_diff('day', DATE '1970-01-01', CAST(received_at AT TIME ZONE 'UTC' AS date)) AS day,
    ingest_xid > ? OR (ingest_xid = ? AND id > ?) AS pending
FROM {data}.payment_events
WHERE {which}

-- name: facts
-- Every event of a window of receipt times in the marts.
SELECT
    provider, event_id, body_sha256, identity_sha256, kind, amount_minor, currency,
    date_diff('day', DATE '1970-01-01', CAST(received_at AT TIME ZONE 'UTC' AS date)) AS day,
    false AS pending
FROM {marts}.fct_payment_events
WHERE {which}

-- name: lake_quarantine
-- Every dead letter of a window of receipt times. The hash of its body comes from its bytes, if it
-- has any: the same bytes are the same money, so the bytes need not be sent.
SELECT
    provider,
    event_id,
    if(length(body) > 0, lower(to_hex(sha256(body))), body_sha256) AS body_sha256,
    identity_sha256,
    date_diff('day', DATE '1970-01-01', CAST(received_at AT TIME ZONE 'UTC' AS date)) AS day
FROM {data}.payment_events_quarantine
WHERE {which}
