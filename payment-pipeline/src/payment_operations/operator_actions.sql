-- Queries of the operators' actions, for operator_actions.py.

-- name: lock
-- Lets one writer at a time extend the chain. PostgreSQL releases the lock at the transaction's end.
SELECT pg_advisory_xact_lock(%s)

-- name: head
-- The last action of the chain.
SELECT number, hash FROM operator_actions
ORDER BY number DESC
LIMIT 1

-- name: now
-- The server's time, because the operators' machines may disagree.
SELECT clock_timestamp()

-- name: append
-- Adds an action.
INSERT INTO operator_actions (
    number, acted_at, action, stage, begun_number, claimed_by, os_user, os_uid, sudo_user, host,
    detail, previous_hash, hash
) VALUES (
    %(number)s, %(acted_at)s, %(action)s, %(stage)s, %(begun_number)s, %(claimed_by)s, %(os_user)s,
    %(os_uid)s, %(sudo_user)s, %(host)s, %(detail)s, %(previous_hash)s, %(hash)s
)

-- name: actions
-- All actions of the chain, in order.
SELECT
    number, acted_at, action, stage, begun_number, claimed_by, os_user, os_uid, sudo_user, host,
    detail, previous_hash, hash
FROM operator_actions
ORDER BY number
