-- The queries of erasure/erased_rows.py and erasure/erasure_journal.py. $1 is the provider and $2 the
-- customer's id. The customer's rows are the events that name the customer, and the events of the
-- customer's payments that name nobody.

-- name: known_by
-- The other ids of the person: payments, charges, invoices and subscriptions, the cards used (in
-- superseded row versions too), and the workflows that wrote the rows.
WITH payments AS (
    SELECT DISTINCT payment_id FROM payment_events
    WHERE provider = $1 AND customer_id = $2 AND payment_id IS NOT NULL
),
theirs AS (
    SELECT * FROM payment_events
    WHERE
        provider = $1
        AND (customer_id = $2 OR payment_id IN (SELECT payment_id FROM payments))
),
cards AS (
    SELECT attributes #>> '{payment_method,card_hash}' AS card_hash FROM theirs
    UNION
    SELECT attributes #>> '{payment_method,card_hash}' FROM payment_events_history
    WHERE
        provider = $1
        AND (customer_id = $2 OR payment_id IN (SELECT payment_id FROM payments))
)
SELECT
    array(
        SELECT DISTINCT each.object_id
        FROM theirs, unnest(
            ARRAY[
                theirs.payment_id, theirs.object_id, theirs.attributes ->> 'charge_id',
                theirs.attributes ->> 'subscription_id', theirs.attributes ->> 'invoice_id'
            ]
        ) AS each (object_id)
        WHERE each.object_id <> $2
    ) AS objects,
    array(SELECT payment_id FROM payments) AS payments,
    array(SELECT card_hash FROM cards WHERE card_hash IS NOT NULL) AS cards,
    array(SELECT DISTINCT workflow_id FROM theirs) AS workflows

-- name: tables
-- Every table that could name a person, with its columns of bytes, which a row's text shows in hex.
-- A partitioned table is searched partition by partition.
SELECT
    table_name,
    array(
        SELECT column_name::text FROM information_schema.columns
        WHERE
            columns.table_schema = tables.table_schema
            AND columns.table_name = tables.table_name
            AND data_type = 'bytea'
        ORDER BY ordinal_position
    ) AS of_bytes
FROM information_schema.tables
WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
ORDER BY table_name

-- name: naming
-- The number of rows of a table that match a pattern ($1) in their text or in their bytes.
SELECT count(*) FROM {table} AS each
WHERE concat_ws(' ', each::text{of_bytes}) ~ $1

-- name: holding_one
-- A condition of the queries below: the body of a dead letter contains one of these ids ($2, with
-- patterns $3). There are many ids, and searching a plain text is faster than a pattern.
provider = $1
AND length(body) > 0
AND EXISTS (
    SELECT FROM unnest($2::text[], $3::text[]) AS each (id, pattern)
    WHERE position(convert_to(each.id, 'UTF8') IN body) > 0
        AND encode(body, 'escape') ~ each.pattern
)

-- name: quarantined
-- The number of such dead letters.
SELECT count(*) FROM payment_events_quarantine
WHERE {holding_one}

-- name: open_letters
-- The open dead letters that could not be redriven after the erasure: those that contain one of the
-- ids, and those of anybody whose large body is on a topic ($4) and partition ($5) that is about to be
-- cut before an offset ($6).
SELECT id FROM payment_events_quarantine AS letter
WHERE
    resolution IS NULL
    AND (
        ({holding_one})
        OR (
            length(body) = 0
            AND body_sha256 <> encode(sha256(body), 'hex')
            AND EXISTS (
                SELECT FROM unnest($4::text[], $5::integer[], $6::bigint[])
                    AS cut (topic, partition, before_offset)
                WHERE
                    cut.topic = letter.source_topic
                    AND cut.partition = letter.source_partition
                    AND cut.before_offset > letter.source_offset
            )
        )
    )
ORDER BY id

-- name: lock
-- Locks the customer's rows, in the order of every writer.
SELECT FROM payment_events
WHERE provider = $1 AND (customer_id = $2 OR payment_id = ANY ($3))
ORDER BY provider, event_id
FOR UPDATE

-- name: lock_decisions
-- Waits for decisions that are being written, so that they are found below. Later ones wait, and then
-- find the token.
LOCK TABLE payment_decisions IN SHARE ROW EXCLUSIVE MODE

-- name: remember_objects
-- Stores the objects ($4), so that later events about them get the token ($3).
INSERT INTO erased_objects (provider, object_id, token)
SELECT $1, each, $3 FROM unnest($4::text[]) AS each
WHERE each <> $2
ON CONFLICT (provider, object_id) DO NOTHING

-- name: erase_events
-- Writes the token ($4) for the customer, and one ($6) for each card ($5), into the events and their
-- superseded versions. The new transaction id makes the loader load the events again, and replace
-- those of the lake.
UPDATE {table}
SET
    customer_id = CASE customer_id WHEN $2 THEN $4 ELSE customer_id END,
    object_id = CASE object_id WHEN $2 THEN $4 ELSE object_id END,
    attributes = coalesce(
        (
            SELECT jsonb_set(attributes, '{{payment_method,card_hash}}', to_jsonb(card.token))
            FROM unnest($5::text[], $6::text[]) AS card (hash, token)
            WHERE card.hash = attributes #>> '{{payment_method,card_hash}}'
        ),
        attributes
    ),
    ingest_xid = pg_current_xact_id()
WHERE provider = $1 AND (customer_id = $2 OR payment_id = ANY ($3))

-- name: erase_decisions
-- Deletes notes, because they are free text.
UPDATE payment_decisions
SET
    customer_id = CASE customer_id WHEN $2 THEN $4 ELSE customer_id END,
    note = NULL,
    ingest_xid = pg_current_xact_id()
WHERE provider = $1 AND (customer_id = $2 OR payment_id = ANY ($3))

-- name: erase_quarantined
-- Deletes the bodies of such dead letters. The dead letters stay, because audits know them by their
-- hashes. Open ones keep their bodies, because they may still become events.
UPDATE payment_events_quarantine
SET body = ''::bytea, patch = NULL, ingest_xid = pg_current_xact_id()
WHERE resolution IS NOT NULL AND {holding_one}

-- name: lock_features
-- Locks the feature states of the person, in the order of every writer. $3 are the cards. The id of a
-- customer's state is `<merchant>/<live or test>/<customer id>`; those of all accounts and modes are
-- locked.
SELECT FROM entity_features
WHERE
    provider = $1
    AND (
        (
            entity = 'customer'
            AND regexp_replace(entity_id, '^[^/]+/(live|test)/', '') = $2
        )
        OR (entity = 'card' AND (entity_id = ANY ($3) OR $2 = ANY (counterparties)))
    )
ORDER BY provider, entity, entity_id
FOR UPDATE

-- name: erase_features
-- Deletes the state of the customer, and of cards that nobody else has used.
DELETE FROM entity_features
WHERE
    provider = $1
    AND (
        (
            entity = 'customer'
            AND regexp_replace(entity_id, '^[^/]+/(live|test)/', '') = $2
        )
        OR (
            entity = 'card'
            AND (entity_id = ANY ($3) OR $2 = ANY (counterparties))
            AND counterparties <@ ARRAY[$2]
        )
    )

-- name: leave_features
-- Removes the customer from the states of cards that others use too.
UPDATE entity_features
SET counterparties = array_remove(counterparties, $2)
WHERE provider = $1 AND entity = 'card' AND $2 = ANY (counterparties)

-- name: erase_due
-- Deletes pending recomputations of features of the customer, and of cards ($3) without events.
DELETE FROM entity_features_due
WHERE
    provider = $1
    AND (
        (
            entity = 'customer'
            AND regexp_replace(entity_id, '^[^/]+/(live|test)/', '') = $2
        )
        OR (
            entity = 'card'
            AND entity_id = ANY ($3)
            AND NOT EXISTS (
                SELECT FROM payment_events
                WHERE
                    provider = $1
                    AND attributes #>> '{payment_method,card_hash}' = entity_features_due.entity_id
            )
        )
    )

-- name: transaction
-- The id of this transaction, which the lake must load.
SELECT pg_current_xact_id()::text

-- name: begin
-- Records the start of an erasure, and what it found ($2).
INSERT INTO erasures (provider, found) VALUES ($1, $2) RETURNING id

-- name: cut
-- Records what is about to be deleted from the topics, before it is: an audit must never find a gap
-- without a cause.
UPDATE erasures SET topics_whole_from = $2, cuts = $3 WHERE id = $1

-- name: finish
-- Records what is left, and when that was found.
UPDATE erasures
SET
    remaining = $2::jsonb,
    finished_at = CASE WHEN $3 THEN clock_timestamp() END
WHERE id = $1
