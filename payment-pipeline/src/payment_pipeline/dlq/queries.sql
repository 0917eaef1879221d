-- The queries of dlq/dead_letter_store.py on the quarantine. Parameters are asyncpg's. A filter that
-- was not given is null. An error reads as `payments dlq list` shows it.

-- name: groups
-- The dead letters grouped by cause: their number, first and last receipt time, and an example.
SELECT
    provider,
    failure,
    component,
    coalesce(
        nullif(errors -> 0 ->> 'path', '') || ': ' || (errors -> 0 ->> 'message'),
        errors -> 0 ->> 'message'
    ) AS error,
    resolution,
    count(*) AS letters,
    min(received_at) AS oldest_received_at,
    max(received_at) AS newest_received_at,
    min(id) AS example_id
FROM payment_events_quarantine
WHERE
    (resolution IS NULL OR $1)
    AND ($2::text[] IS NULL OR failure = ANY ($2))
    AND ($3::timestamptz IS NULL OR received_at >= $3)
    AND ($4::timestamptz IS NULL OR received_at < $4)
GROUP BY provider, failure, component, error, resolution
ORDER BY resolution NULLS FIRST, letters DESC, failure, error
LIMIT $5

-- name: select
-- The dead letters of a filter, the oldest first. Conflicts only if the filter includes them.
SELECT id
FROM payment_events_quarantine
WHERE
    resolution IS NOT DISTINCT FROM $1
    AND ($2::text[] IS NULL OR failure = ANY ($2))
    AND (
        $3::text IS NULL
        OR EXISTS (
            SELECT FROM jsonb_array_elements(errors) AS error
            WHERE strpos(
                lower(concat_ws(': ', nullif(error ->> 'path', ''), error ->> 'message')),
                lower($3)
            ) > 0
        )
    )
    AND ($4::text[] IS NULL OR provider_event_type = ANY ($4))
    AND ($5::timestamptz IS NULL OR received_at >= $5)
    AND ($6::timestamptz IS NULL OR received_at < $6)
    AND (
        $7::text[] IS NULL
        OR event_id = ANY ($7)
        OR id::text = ANY ($7)
        OR concat_ws('/', source_topic, source_partition, source_offset) = ANY ($7)
    )
    AND ($8 OR failure <> 'conflicting_body')
ORDER BY id
LIMIT $9

-- name: letters
-- The open ones of these dead letters, with their bodies.
SELECT
    id, failure, provider, event_id, body, body_sha256, identity_sha256, verdict,
    received_at, traceparent, source_topic, source_partition, source_offset
FROM payment_events_quarantine
WHERE id = ANY ($1::bigint[]) AND resolution IS NULL
ORDER BY id

-- name: show
-- The dead letters with an id, an event id or a source; the body only on request.
SELECT
    id, provider, event_id, provider_event_type, failure, errors, component, component_version,
    verdict, received_at, rejected_at, ingested_at, source_topic, source_partition, source_offset,
    traceparent, workflow_id, body_sha256, identity_sha256, length(body) AS body_bytes,
    CASE WHEN $2 THEN body END AS body,
    resolution, resolved_at, resolved_by, resolution_note, redriven_event_id,
    redriven_body_sha256, patch
FROM payment_events_quarantine
WHERE
    event_id = $1
    OR id = $3
    OR (source_topic, source_partition, source_offset) = ($5::text, $6::integer, $7::bigint)
ORDER BY id
LIMIT $4

-- name: known
-- The keys of these dead letters that the quarantine has.
SELECT source_topic, source_partition, source_offset, failure
FROM payment_events_quarantine
JOIN unnest($1::text[], $2::integer[], $3::bigint[], $4::text[]) AS wanted (
    source_topic, source_partition, source_offset, failure
) USING (source_topic, source_partition, source_offset, failure)

-- name: intend
-- Stores what is about to be sent, so that a redrive after a crash recognizes it.
UPDATE payment_events_quarantine AS letter
SET
    redriven_event_id = given.event_id,
    redriven_body_sha256 = given.body_sha256,
    patch = CASE WHEN given.body_sha256 <> letter.body_sha256 THEN $4::jsonb END
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS given (id, event_id, body_sha256)
WHERE letter.id = given.id AND letter.resolution IS NULL

-- name: rejected_by
-- The open dead letters of a component ($1) with these events (providers $2, ids $3, hashes of
-- bodies $4 and of identities $5), except those for which a redrive sent another body.
SELECT DISTINCT ON (letter.id)
    letter.id, letter.body_sha256, letter.identity_sha256,
    letter.source_topic, letter.source_partition, letter.source_offset
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS given (
    provider, event_id, body_sha256, identity_sha256
)
JOIN payment_events_quarantine AS letter USING (provider, event_id)
WHERE
    letter.component = $1
    AND (
        letter.body_sha256 = given.body_sha256 OR letter.identity_sha256 = given.identity_sha256
    )
    AND letter.resolution IS NULL
    AND coalesce(letter.redriven_body_sha256, letter.body_sha256) = letter.body_sha256

-- name: settle
-- Closes the dead letters whose event is in bronze, with the signed body, with the one that was sent,
-- or with another delivery's body and the identity of one of the two ($5 of the one sent). Bronze is asked in the same statement, so a dead letter without an event stays open. The raw
-- record of the row tells whether this redrive or replay wrote it. The new transaction id makes the
-- loader load the dead letter again.
UPDATE payment_events_quarantine AS letter
SET
    resolution = CASE
        WHEN
            (event.source_topic, event.source_partition, event.source_offset)
            = (given.topic, given.partition, given.at_offset)
            THEN 'written'
        ELSE 'already_there'
    END,
    resolved_at = clock_timestamp(),
    resolved_by = $6,
    resolution_note = $7,
    redriven_event_id = event.event_id,
    redriven_body_sha256 = event.body_sha256,
    patch = CASE
        WHEN
            event.body_sha256 <> letter.body_sha256
            AND (
                event.body_sha256 = letter.redriven_body_sha256
                OR event.identity_sha256 = given.identity
            )
            THEN letter.patch
    END,
    ingest_xid = pg_current_xact_id()
FROM
    unnest($1::bigint[], $2::text[], $3::integer[], $4::bigint[], $5::text[]) AS given (
        id, topic, partition, at_offset, identity
    )
CROSS JOIN payment_events AS event
WHERE
    letter.id = given.id
    AND letter.resolution IS NULL
    AND event.provider = letter.provider
    AND event.event_id = coalesce(letter.redriven_event_id, letter.event_id)
    AND (
        event.body_sha256 IN (letter.body_sha256, letter.redriven_body_sha256)
        OR event.identity_sha256 IN (letter.identity_sha256, given.identity)
    )
RETURNING letter.id, letter.resolution

-- name: conflicts
-- The dead letters ($1) whose event is in bronze with neither the signed body nor the one that is
-- sent, and with the identity of neither ($2 of the one sent).
SELECT letter.id
FROM unnest($1::bigint[], $2::text[]) AS given (id, identity)
JOIN payment_events_quarantine AS letter USING (id)
JOIN payment_events AS event
    ON
        event.provider = letter.provider
        AND event.event_id = coalesce(letter.redriven_event_id, letter.event_id)
WHERE
    event.body_sha256 NOT IN (
        letter.body_sha256, coalesce(letter.redriven_body_sha256, letter.body_sha256)
    )
    AND coalesce(event.identity_sha256 NOT IN (letter.identity_sha256, given.identity), true)

-- name: rejections
-- The new dead letters of these redriven records.
SELECT id, source_topic, source_partition, source_offset, failure, errors
FROM payment_events_quarantine
JOIN unnest($1::text[], $2::integer[], $3::bigint[]) AS sent (
    source_topic, source_partition, source_offset
) USING (source_topic, source_partition, source_offset)

-- name: closed
-- The dead letters that are closed, and by whom.
SELECT id, resolution, resolved_by
FROM payment_events_quarantine
WHERE id = ANY ($1::bigint[]) AND resolution IS NOT NULL

-- name: close
-- Closes dead letters without asking bronze: dismissed, a duplicate, or on payments.unmodelled.
UPDATE payment_events_quarantine
SET
    resolution = $2,
    resolved_at = clock_timestamp(),
    resolved_by = $3,
    resolution_note = $4,
    ingest_xid = pg_current_xact_id()
WHERE id = ANY ($1::bigint[]) AND resolution IS NULL
RETURNING id

-- name: reopen
-- Reopens dismissed dead letters.
UPDATE payment_events_quarantine
SET
    resolution = NULL,
    resolved_at = NULL,
    resolved_by = NULL,
    resolution_note = NULL,
    ingest_xid = pg_current_xact_id()
WHERE id = ANY ($1::bigint[]) AND resolution = 'dismissed'
RETURNING id
