-- The queries of erasure/erased_rows.py and erasure/erasure_journal.py. $1 is the provider and $2 the
-- customer's id and its pseudonym. The customer's rows are the events that name the customer, and the events of the
-- customer's payments that name nobody.

-- name: known_by
-- The other ids of the person: payments, charges, invoices and subscriptions, the cards used (in
-- superseded row versions too), and the workflows that wrote the rows.
WITH payments AS (
    SELECT DISTINCT payment_id FROM payment_events
    WHERE provider = $1 AND customer_id = ANY ($2) AND payment_id IS NOT NULL
),
theirs AS (
    SELECT * FROM payment_events
    WHERE
        provider = $1
        AND (customer_id = ANY ($2) OR payment_id IN (SELECT payment_id FROM payments))
),
cards AS (
    SELECT attributes #>> '{payment_method,card_hash}' AS card_hash FROM theirs
    UNION
    SELECT attributes #>> '{payment_method,card_hash}' FROM payment_events_history
    WHERE
        provider = $1
        AND (customer_id = ANY ($2) OR payment_id IN (SELECT payment_id FROM payments))
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
        WHERE each.object_id <> ALL ($2)
    ) AS objects,
    array(SELECT payment_id FROM payments) AS payments,
    array(SELECT card_hash FROM cards WHERE card_hash IS NOT NULL) AS cards,
    array(SELECT DISTINCT workflow_id FROM theirs) AS workflows

-- name: scopes
-- Up to $3 merchants and modes, those of the person first. The key of a customer in the marts has them.
SELECT coalesce(merchant_id, 'platform') AS merchant, livemode
FROM payment_events
WHERE provider = $1
GROUP BY 1, 2
ORDER BY bool_or(customer_id = ANY ($2)) DESC NULLS LAST
LIMIT $3

-- name: tables
-- Every table that could name a person, with its columns of bytes, which a row's text shows in hex.
-- The bodies of dead letters are left out, because they are parsed. A partitioned table is searched
-- partition by partition.
SELECT
    table_name,
    array(
        SELECT column_name::text FROM information_schema.columns
        WHERE
            columns.table_schema = tables.table_schema
            AND columns.table_name = tables.table_name
            AND data_type = 'bytea'
            AND (columns.table_name, columns.column_name) <> ('payment_events_quarantine', 'body')
        ORDER BY ordinal_position
    ) AS of_bytes
FROM information_schema.tables
WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
ORDER BY table_name

-- name: naming
-- The number of rows of a table that match a pattern ($1) in their text or in their bytes.
SELECT count(*) FROM {table} AS each
WHERE concat_ws(' ', each::text{of_bytes}) ~ $1

-- name: rows_of_customer
-- The number of rows of a table with the customer's id, which a pattern may miss.
SELECT count(*) FROM {table} WHERE provider = $1 AND customer_id = ANY ($2)

-- name: letters
-- The dead letters whose body or patch may be about the person. Each of these bodies holds one of the
-- texts ($2), or an escape, which may hide one. Searching bytes is faster than parsing every body.
SELECT id, body, patch::text AS patch, resolution IS NULL AS is_open
FROM payment_events_quarantine
WHERE
    provider = $1
    AND length(body) > 0
    AND (
        patch IS NOT NULL
        OR position('\x5c'::bytea IN body) > 0
        OR position('\x25'::bytea IN body) > 0
        OR EXISTS (SELECT FROM unnest($2::bytea[]) AS each (text) WHERE position(each.text IN body) > 0)
    )
ORDER BY id

-- name: letters_cut
-- The open dead letters of anybody whose large body is on a topic ($1) and partition ($2) that is about
-- to be cut before an offset ($3). They could not be redriven after the erasure.
SELECT id FROM payment_events_quarantine AS letter
WHERE
    resolution IS NULL
    AND length(body) = 0
    AND body_sha256 <> encode(sha256(body), 'hex')
    AND EXISTS (
        SELECT FROM unnest($1::text[], $2::integer[], $3::bigint[])
            AS cut (topic, partition, before_offset)
        WHERE
            cut.topic = letter.source_topic
            AND cut.partition = letter.source_partition
            AND cut.before_offset > letter.source_offset
    )

-- name: lock
-- Locks the customer's rows, in the order of every writer.
SELECT FROM payment_events
WHERE provider = $1 AND (customer_id = ANY ($2) OR payment_id = ANY ($3))
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
WHERE each <> ALL ($2)
ON CONFLICT (provider, object_id) DO NOTHING

-- name: erase_events
-- Writes the token ($4) for the customer, and one ($6) for each card ($5), into the events and their
-- superseded versions. The new transaction id makes the loader load the events again, and replace
-- those of the lake.
UPDATE {table}
SET
    customer_id = CASE WHEN customer_id = ANY ($2) THEN $4 ELSE customer_id END,
    object_id = CASE WHEN object_id = ANY ($2) THEN $4 ELSE object_id END,
    attributes = coalesce(
        (
            SELECT jsonb_set(attributes, '{{payment_method,card_hash}}', to_jsonb(card.token))
            FROM unnest($5::text[], $6::text[]) AS card (hash, token)
            WHERE card.hash = attributes #>> '{{payment_method,card_hash}}'
        ),
        attributes
    ),
    ingest_xid = pg_current_xact_id()
WHERE provider = $1 AND (customer_id = ANY ($2) OR payment_id = ANY ($3))

-- name: erase_decisions
-- Deletes notes, because they are free text.
UPDATE payment_decisions
SET
    customer_id = CASE WHEN customer_id = ANY ($2) THEN $4 ELSE customer_id END,
    note = NULL,
    ingest_xid = pg_current_xact_id()
WHERE provider = $1 AND (customer_id = ANY ($2) OR payment_id = ANY ($3))

-- name: erase_letters
-- Deletes the bodies of dead letters ($1). The dead letters stay, because audits know them by their
-- hashes. Open ones keep their bodies, because they may still become events.
UPDATE payment_events_quarantine
SET body = ''::bytea, patch = NULL, ingest_xid = pg_current_xact_id()
WHERE id = ANY ($1) AND resolution IS NOT NULL

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
            AND regexp_replace(entity_id, '^[^/]+/(live|test)/', '') = ANY ($2)
        )
        OR (entity = 'card' AND (entity_id = ANY ($3) OR counterparties && $2::text[]))
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
            AND regexp_replace(entity_id, '^[^/]+/(live|test)/', '') = ANY ($2)
        )
        OR (
            entity = 'card'
            AND (entity_id = ANY ($3) OR counterparties && $2::text[])
            AND counterparties <@ $2::text[]
        )
    )

-- name: leave_features
-- Removes the customer from the states of cards that others use too.
UPDATE entity_features
SET
    counterparties = array(
        SELECT each.id FROM unnest(counterparties) WITH ORDINALITY AS each (id, position)
        WHERE each.id <> ALL ($2)
        ORDER BY each.position
    )
WHERE provider = $1 AND entity = 'card' AND counterparties && $2::text[]

-- name: erase_due
-- Deletes pending recomputations of features of the customer, and of cards ($3) without events.
DELETE FROM entity_features_due
WHERE
    provider = $1
    AND (
        (
            entity = 'customer'
            AND regexp_replace(entity_id, '^[^/]+/(live|test)/', '') = ANY ($2)
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
