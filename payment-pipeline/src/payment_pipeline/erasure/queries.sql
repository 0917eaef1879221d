-- Erasing a person from bronze: erasure/tables.py and erasure/journal.py. Everywhere $1 is the
-- provider and $2 the customer's id; what is called theirs is that customer's events, and the
-- events of their payments that name nobody.

-- name: known_by
-- What else leads to the person: the ids of their payments, charges, invoices and contracts, the
-- cards that were used, also by what a replay has corrected since, and the workflows that wrote the
-- rows.
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
-- Every table that could name somebody, and its columns of bytes, which a row's text has in hex.
-- What was partitioned is searched part by part.
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
-- How many rows of a table have a pattern ($1) anywhere: in their text, or in that of their bytes.
SELECT count(*) FROM {table} AS each
WHERE concat_ws(' ', each::text{of_bytes}) ~ $1

-- name: holding_one
-- That a dead letter's bytes hold one of these ids ($2, whose patterns are $3), as a part of the
-- queries below. There are many ids, and a text is sooner looked for than a pattern.
provider = $1
AND length(body) > 0
AND EXISTS (
    SELECT FROM unnest($2::text[], $3::text[]) AS each (id, pattern)
    WHERE position(convert_to(each.id, 'UTF8') IN body) > 0
        AND encode(body, 'escape') ~ each.pattern
)

-- name: quarantined
-- How many such dead letters there are.
SELECT count(*) FROM payment_events_quarantine
WHERE {holding_one}

-- name: open_letters
-- Open letters that could not be redriven any more: those that hold one of the ids, and, whoever they
-- are about, those that were too large and have their bytes on a topic ($4) and partition ($5) that
-- is to be cut before an offset ($6).
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
-- Their rows, in the order in which every writer locks.
SELECT FROM payment_events
WHERE provider = $1 AND (customer_id = $2 OR payment_id = ANY ($3))
ORDER BY provider, event_id
FOR UPDATE

-- name: lock_decisions
-- What is being decided is waited for, so that it is found below; what is decided later waits, and
-- finds the token.
LOCK TABLE payment_decisions IN SHARE ROW EXCLUSIVE MODE

-- name: remember_objects
-- So that what comes later about one of them ($4) takes the token ($3), not the name.
INSERT INTO erased_objects (provider, object_id, token)
SELECT $1, each, $3 FROM unnest($4::text[]) AS each
WHERE each <> $2
ON CONFLICT (provider, object_id) DO NOTHING

-- name: erase_events
-- The token ($4) for the customer, one ($6) for each card ($5); in the events, and in what a replay
-- has kept of them. The new transaction id puts the events before the lake again, which replaces
-- those that it has.
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
-- A note is free text, so it goes.
UPDATE payment_decisions
SET
    customer_id = CASE customer_id WHEN $2 THEN $4 ELSE customer_id END,
    note = NULL,
    ingest_xid = pg_current_xact_id()
WHERE provider = $1 AND (customer_id = $2 OR payment_id = ANY ($3))

-- name: erase_quarantined
-- The signed bytes of such dead letters go, the letters stay: their hashes are what the ledger
-- knows them by. One that is open may become an event yet.
UPDATE payment_events_quarantine
SET body = ''::bytea, patch = NULL, ingest_xid = pg_current_xact_id()
WHERE resolution IS NOT NULL AND {holding_one}

-- name: lock_features
-- The states that know the person, in the order in which every writer locks; $3 are the cards.
SELECT FROM entity_features
WHERE
    provider = $1
    AND (
        (entity = 'customer' AND entity_id = $2)
        OR (entity = 'card' AND (entity_id = ANY ($3) OR $2 = ANY (counterparties)))
    )
ORDER BY provider, entity, entity_id
FOR UPDATE

-- name: erase_features
-- The customer's state, and those of cards that nobody else has used.
DELETE FROM entity_features
WHERE
    provider = $1
    AND (
        (entity = 'customer' AND entity_id = $2)
        OR (
            entity = 'card'
            AND (entity_id = ANY ($3) OR $2 = ANY (counterparties))
            AND counterparties <@ ARRAY[$2]
        )
    )

-- name: leave_features
-- A card that others use too knows one customer less.
UPDATE entity_features
SET counterparties = array_remove(counterparties, $2)
WHERE provider = $1 AND entity = 'card' AND $2 = ANY (counterparties)

-- name: erase_due
-- Features that a replay has yet to fold anew: there are none any more, nor of a card ($3) that no
-- event has now.
DELETE FROM entity_features_due
WHERE
    provider = $1
    AND (
        (entity = 'customer' AND entity_id = $2)
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
-- Which transaction this is: what the lake must have reached to have it.
SELECT pg_current_xact_id()::text

-- name: begin
-- That an erasure is under way, and what it found ($2).
INSERT INTO erasures (provider, found) VALUES ($1, $2) RETURNING id

-- name: cut
-- What is about to be cut from the topics, before it is: the ledger must never meet a hole that
-- nobody accounts for.
UPDATE erasures SET topics_whole_from = $2, cuts = $3 WHERE id = $1

-- name: finish
-- What is left, and when that was known.
UPDATE erasures
SET
    remaining = $2::jsonb,
    finished_at = CASE WHEN $3 THEN clock_timestamp() END
WHERE id = $1
