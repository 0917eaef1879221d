-- Corrects payment_events and computes its features again: bronze/corrections.py, bronze/refold.py.

-- name: stored
-- The rows of these keys.
SELECT stored.*
FROM unnest($1::text[], $2::text[]) AS wanted (provider, event_id)
JOIN payment_events AS stored USING (provider, event_id)

-- name: lock
-- Locks the rows of these keys until the commit, in the order of the key as every writer does.
SELECT stored.*
FROM unnest($1::text[], $2::text[]) AS wanted (provider, event_id)
JOIN payment_events AS stored USING (provider, event_id)
ORDER BY stored.provider, stored.event_id
FOR UPDATE OF stored

-- name: quarantined
-- The hashes of these events that are in the quarantine: $1 event ids (indexed), $2 hashes of
-- bodies, $3 of identities.
SELECT kept.body_sha256, kept.identity_sha256
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (event_id, body_sha256, identity_sha256)
JOIN payment_events_quarantine AS kept USING (event_id)
WHERE
    kept.body_sha256 = wanted.body_sha256 OR kept.identity_sha256 = wanted.identity_sha256

-- name: quarantined_records
-- The coordinates of these raw records that are in the quarantine, for any failure.
SELECT kept.source_topic, kept.source_partition, kept.source_offset
FROM unnest($1::text[], $2::integer[], $3::bigint[])
    AS wanted (source_topic, source_partition, source_offset)
JOIN payment_events_quarantine AS kept USING (source_topic, source_partition, source_offset)

-- name: archive
-- Copies the rows of these keys ($1, $2) to the history, valid until $3, corrected by $4.
INSERT INTO payment_events_history
SELECT coalesce(old.corrected_at, old.ingested_at), $3, $4, old.*
FROM unnest($1::text[], $2::text[]) AS wanted (provider, event_id)
JOIN payment_events AS old USING (provider, event_id)

-- name: supersede
-- Overwrites rows with the rows in incoming_events. The key, the receipt, the scores and the workflow
-- stay. Because of the new transaction id, the lake loads the row again.
UPDATE payment_events AS event
SET
    event_type = new.event_type,
    provider_event_type = new.provider_event_type,
    kind = new.kind,
    occurred_at = new.occurred_at,
    api_version = new.api_version,
    livemode = new.livemode,
    merchant_id = new.merchant_id,
    customer_id = new.customer_id,
    payment_id = new.payment_id,
    object_id = new.object_id,
    status = new.status,
    provider_status = new.provider_status,
    amount_minor = new.amount_minor,
    currency = new.currency,
    currency_exponent = new.currency_exponent,
    attributes = new.attributes,
    normalizer_version = new.normalizer_version,
    corrected_at = $1,
    ingest_xid = pg_current_xact_id()
FROM incoming_events AS new
WHERE event.provider = new.provider AND event.event_id = new.event_id

-- name: note_due
-- Records that the features of these entities are stale; $1, $2, $3 as in feature_states.sql.
INSERT INTO entity_features_due (provider, entity, entity_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
ON CONFLICT (provider, entity, entity_id) DO NOTHING

-- name: due
-- The entities with stale features.
SELECT provider, entity, entity_id FROM entity_features_due
ORDER BY provider, entity, entity_id

-- name: is_due
-- True if any entity has stale features.
SELECT EXISTS (SELECT FROM entity_features_due)

-- name: done
-- Records that the features of these entities are exact again.
DELETE FROM entity_features_due AS due
USING unnest($1::text[], $2::text[], $3::text[]) AS folded (provider, entity, entity_id)
WHERE
    due.provider = folded.provider
    AND due.entity = folded.entity
    AND due.entity_id = folded.entity_id

-- name: horizon
-- The transaction horizon. Every transaction below it has ended. If it committed, this snapshot has
-- its rows.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text

-- name: events_of
-- Every event of these customers ($1, $2), merchants ($3, $4) and cards ($5, $6). Their ids are those
-- of `domain.features.entities`.
SELECT payment_events.*
FROM payment_events
CROSS JOIN LATERAL (
    SELECT coalesce(merchant_id, 'platform') || CASE WHEN livemode THEN '/live' ELSE '/test' END
) AS scope (id)
WHERE
    (provider, scope.id || '/' || customer_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
    OR (provider, scope.id) IN (SELECT * FROM unnest($3::text[], $4::text[]))
    OR (provider, attributes #>> '{payment_method,card_hash}') IN (
        SELECT * FROM unnest($5::text[], $6::text[])
    )

-- name: events_since
-- The rows of transactions from $1 on: new events, and rows that were scored again.
SELECT * FROM payment_events
WHERE ingest_xid >= $1::text::xid8
