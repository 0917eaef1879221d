-- The decisions about payments: bronze/decisions.py.

-- name: record
-- Stores a decision once, even if the activity runs again. If the customer was erased after the
-- workflow began, the token of the payment ($5) replaces the customer ($7), and the note ($16) is left
-- out.
INSERT INTO payment_decisions (
    workflow_id, step, kind, provider, payment_id, event_id, customer_id, merchant_id, outcome,
    decided_at, fraud_score, strategy, due_at, attempts_left, decided_by, note
)
VALUES (
    $1, $2, $3, $4, $5, $6,
    CASE
        WHEN $7::text IS NOT NULL
            THEN coalesce(
                (SELECT token FROM erased_objects WHERE provider = $4 AND object_id = $5), $7
            )
    END,
    $8, $9, $10, $11, $12, $13, $14, $15,
    CASE
        WHEN NOT EXISTS (SELECT FROM erased_objects WHERE provider = $4 AND object_id = $5)
            THEN $16::text
    END
)
ON CONFLICT (workflow_id, step, decided_at) DO NOTHING

-- name: succeeded
-- True if any attempt of a payment succeeded.
SELECT EXISTS (
    SELECT 1 FROM payment_events
    WHERE payment_id = $2 AND provider = $1
      AND event_type IN ('payment.succeeded', 'charge.succeeded')
      AND status IN ('authorized', 'succeeded')
)

-- name: failed_again
-- The newest scored failed attempt after the given event. Only events of the same type count, because
-- one attempt fails both as a charge and as a payment.
SELECT newer.event_id, newer.occurred_at, newer.scores
FROM payment_events AS given
JOIN payment_events AS newer USING (provider, payment_id, event_type)
WHERE given.provider = $1
  AND given.event_id = $2
  AND newer.occurred_at > given.occurred_at
  AND newer.inference_status <> 'unavailable'
ORDER BY newer.occurred_at DESC, newer.id DESC
LIMIT 1
