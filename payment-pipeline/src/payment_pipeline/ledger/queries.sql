-- The ledger's queries on bronze. Parameters are asyncpg's.

-- name: events_received
-- Every event of a window of receipt times, streamed by the index on received_at. Events past the
-- lake's watermark ($3, $4) are pending. The watermark is null when the lake is not audited.
SELECT
    provider, event_id, body_sha256, identity_sha256, kind, amount_minor, currency, received_at,
    coalesce((ingest_xid, id) > ($3::text::xid8, $4::bigint), false) AS pending
FROM payment_events
WHERE ($1::timestamptz IS NULL OR received_at >= $1) AND received_at < $2

-- name: stage
-- The stage of a dead letter, as a part of the queries below. A dead letter that was closed because
-- bronze has its event is in no stage if bronze does not have the event.
CASE
    WHEN resolution IS NULL OR resolution = 'dismissed' THEN 'quarantine'
    WHEN
        resolution = 'unmodelled' OR EXISTS (
            SELECT FROM payment_events AS event
            WHERE
                event.provider = letter.provider
                AND event.event_id = coalesce(letter.redriven_event_id, letter.event_id)
                AND event.body_sha256
                = coalesce(letter.redriven_body_sha256, letter.body_sha256)
        )
        THEN 'redriven'
    WHEN resolution = 'duplicate' THEN 'quarantine'
END

-- name: quarantined_received
-- Every dead letter of a window of receipt times, with the body for its control total.
SELECT
    provider, event_id, body_sha256, identity_sha256, body, received_at,
    {stage} AS stage,
    coalesce((ingest_xid, id) > ($3::text::xid8, $4::bigint), false) AS pending
FROM payment_events_quarantine AS letter
WHERE ($1::timestamptz IS NULL OR received_at >= $1) AND received_at < $2

-- name: events_by_hash
-- The events with these ids ($1) and beginnings of hashes ($2) that bronze has, at any receipt time:
-- for a duplicate delivery in the window this finds the row of the first delivery. A hash is of an
-- identity or of a body.
SELECT DISTINCT ON (payment_events.id)
    provider, event_id, body_sha256, identity_sha256, kind, amount_minor, currency, received_at,
    coalesce((ingest_xid, payment_events.id) > ($3::text::xid8, $4::bigint), false) AS pending
FROM payment_events
JOIN unnest($1::text[], $2::text[]) AS lost (id, hash)
    ON
        event_id = lost.id
        AND (starts_with(body_sha256, lost.hash) OR starts_with(identity_sha256, lost.hash))

-- name: quarantined_by_hash
-- The dead letters with these identities or bodies; one per event, however often it was delivered.
SELECT DISTINCT ON (coalesce(identity_sha256, body_sha256))
    provider, event_id, body_sha256, identity_sha256, body, received_at,
    {stage} AS stage,
    coalesce((ingest_xid, id) > ($3::text::xid8, $4::bigint), false) AS pending
FROM payment_events_quarantine AS letter
WHERE left(body_sha256, $2) = ANY ($1::text[]) OR left(identity_sha256, $2) = ANY ($1::text[])

-- name: topics_whole_from
-- The time from which Kafka's topics are complete, if an erasure ever deleted records.
SELECT max(topics_whole_from) FROM erasures

-- name: newest
-- The last row of both tables in the loader's order: what a complete load reaches.
SELECT
    (
        SELECT (ingest_xid::text, id)
        FROM payment_events
        ORDER BY ingest_xid DESC, id DESC
        LIMIT 1
    ) AS lake,
    (
        SELECT (ingest_xid::text, id)
        FROM payment_events_quarantine
        ORDER BY ingest_xid DESC, id DESC
        LIMIT 1
    ) AS lake_quarantine

-- name: trace_events
-- The rows of an event, of a payment or of a workflow. The events of a payment are in order of
-- occurrence, and within one second in order of rows. Each kind of id has an index, and the kinds
-- of ids never coincide.
SELECT * FROM payment_events
WHERE event_id = $1 OR payment_id = $1 OR workflow_id = $1
ORDER BY occurred_at, id
LIMIT $2

-- name: trace_quarantined
-- The dead letters of an event, of a workflow, of a body or an identity by the beginning of its
-- hash ($2), or, if the id is a payment's ($3), of every event that names it. Bodies are not
-- selected, because they must not be shown on a screen.
SELECT
    provider, event_id, provider_event_type, failure, errors, component, component_version,
    verdict, received_at, rejected_at, ingested_at, source_topic, source_partition, source_offset,
    traceparent, workflow_id, body_sha256, identity_sha256, length(body) AS body_bytes, id,
    resolution, resolved_at, resolved_by, redriven_body_sha256, patch IS NOT NULL AS patched
FROM payment_events_quarantine
WHERE
    event_id = $1
    OR workflow_id = $1
    OR starts_with(body_sha256, $2)
    OR starts_with(identity_sha256, $2)
    OR ($3 AND position(convert_to(to_json($1::text)::text, 'UTF8') IN body) > 0)
ORDER BY id
LIMIT $4

-- name: trace_decisions
-- The decisions of reviews and recoveries about a payment, in order.
SELECT workflow_id, step, kind, event_id, outcome, decided_at, fraud_score, strategy, due_at,
    attempts_left, decided_by, note
FROM payment_decisions
WHERE payment_id = $1
ORDER BY decided_at, step

-- name: may_write
-- Allows writes: the role's transactions are read-only by default.
SET TRANSACTION READ WRITE

-- name: keep
-- Stores the counts of an audit.
INSERT INTO ledger_audits (
    audit_id, audited_at, asked_by, window_since, window_until, is_clean, is_settled,
    has_client_ledger, received_events, normalized_events, rejected_events,
    unmodelled_events, bronze_events, quarantine_events, lake_events, facts_events,
    pending_events, missing_events, duplicated_events, unexplained_events,
    mismatched_events, elapsed_s
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
    $20, $21, $22
)
