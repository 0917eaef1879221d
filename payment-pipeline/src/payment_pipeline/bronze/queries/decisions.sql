-- What was decided about payments: bronze/decisions.py.

-- name: record
-- Once, however often the activity is tried. Of somebody who was erased since the workflow began,
-- the customer ($7) under the token of the payment ($5), and without the note ($16), as there.
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
-- Whether the money of a payment came, by this attempt or another.
SELECT EXISTS (
    SELECT 1 FROM payment_events
    WHERE payment_id = $2 AND provider = $1
      AND event_type IN ('payment.succeeded', 'charge.succeeded')
)

-- name: failed_again
-- The newest failed attempt after the given one, once it is scored. Of the same type of event: one
-- attempt fails as a charge and as a payment.
SELECT newer.event_id, newer.occurred_at, newer.scores
FROM payment_events AS given
JOIN payment_events AS newer USING (provider, payment_id, event_type)
WHERE given.provider = $1
  AND given.event_id = $2
  AND newer.occurred_at > given.occurred_at
  AND newer.inference_status <> 'unavailable'
ORDER BY newer.occurred_at DESC, newer.id DESC
LIMIT 1
