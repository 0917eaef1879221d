-- The online features: bronze/feature_states.py. `$1, $2, $3` are the providers, entities and
-- entity_ids of a batch, in the order of the key.

-- name: insert_missing
-- Inserts the missing rows, so that each row can be locked. Waits for another writer that inserts the
-- same row. Every writer inserts in the order of the key, and before it locks.
INSERT INTO entity_features (provider, entity, entity_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
ON CONFLICT (provider, entity, entity_id) DO NOTHING

-- name: states
-- The committed states of these entities.
SELECT
    provider, entity, entity_id,
    events, attempts, successes, failures, refunds, disputes, fraud_warnings, invoices_failed,
    first_seen_at, last_seen_at, last_success_at, recent_attempts_at, recent_failures_at,
    counterparties, amounts, subscription_status, subscription_status_at
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (provider, entity, entity_id)
JOIN entity_features AS state USING (provider, entity, entity_id)

-- name: lock
-- Locks the states of these entities until the commit, in the order of the key.
{states}
ORDER BY provider, entity, entity_id
FOR UPDATE OF state

-- name: create_incoming
-- The table for the new states. `unnest` would flatten their arrays. It is created once for each
-- connection.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_features ON COMMIT DELETE ROWS AS
SELECT * FROM entity_features
WITH NO DATA

-- name: write_back
-- Overwrites the locked states with the new states.
UPDATE entity_features AS state
SET
    events = new.events,
    attempts = new.attempts,
    successes = new.successes,
    failures = new.failures,
    refunds = new.refunds,
    disputes = new.disputes,
    fraud_warnings = new.fraud_warnings,
    invoices_failed = new.invoices_failed,
    first_seen_at = new.first_seen_at,
    last_seen_at = new.last_seen_at,
    last_success_at = new.last_success_at,
    recent_attempts_at = new.recent_attempts_at,
    recent_failures_at = new.recent_failures_at,
    counterparties = new.counterparties,
    amounts = new.amounts,
    subscription_status = new.subscription_status,
    subscription_status_at = new.subscription_status_at
FROM incoming_features AS new
WHERE
    state.provider = new.provider
    AND state.entity = new.entity
    AND state.entity_id = new.entity_id
