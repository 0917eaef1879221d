-- Queries of `payments policy simulate`, for policy_simulation.py.

-- name: scored_payments
-- Every scored successful charge of a window, by mode, currency and day, with whether fraud was
-- reported for its payment: by an early fraud warning or by a dispute for fraud.
SELECT
    charge.livemode,
    charge.currency,
    charge.currency_exponent,
    (charge.occurred_at AT TIME ZONE 'UTC')::date AS occurred_on,
    charge.amount_minor,
    charge.fraud_score,
    EXISTS (
        SELECT FROM payment_events AS report
        WHERE report.provider = charge.provider
          AND report.payment_id = charge.payment_id
          AND (
              report.event_type = 'fraud_warning.created'
              OR (report.kind = 'dispute' AND report.attributes ->> 'reason' = 'fraudulent')
          )
    ) AS is_fraud
FROM payment_events AS charge
WHERE charge.event_type = 'charge.succeeded'
  AND charge.payment_id IS NOT NULL
  AND charge.fraud_score IS NOT NULL
  AND charge.amount_minor > 0
  AND charge.occurred_at >= %(since)s
ORDER BY
    charge.livemode DESC, charge.currency, charge.currency_exponent, occurred_on,
    charge.occurred_at, charge.provider, charge.event_id
