-- The ids of customers' and merchants' features name the account and the mode: a provider's customer
-- id is unique within an account and a mode only. May run twice.

-- Waits for writers that fold features, and holds new ones up until the commit. Those then insert
-- their rows under the new ids.
LOCK TABLE entity_features IN SHARE ROW EXCLUSIVE MODE;

-- The old states can't be split, so each state of the new ids is computed from all of its events:
-- `payments migrate` does this next (bronze/refold.py).
WITH unscoped AS (
    DELETE FROM entity_features
    WHERE
        (entity = 'customer' AND entity_id !~ '^[^/]+/(live|test)/')
        OR (entity = 'merchant' AND entity_id !~ '/(live|test)$')
    RETURNING entity
),
scoped AS (
    SELECT
        provider, customer_id,
        coalesce(merchant_id, 'platform') || CASE WHEN livemode THEN '/live' ELSE '/test' END
            AS scope
    FROM payment_events
    WHERE EXISTS (SELECT FROM unscoped)
)
INSERT INTO entity_features_due (provider, entity, entity_id)
SELECT provider, 'merchant', scope FROM scoped
UNION
SELECT provider, 'customer', scope || '/' || customer_id FROM scoped WHERE customer_id IS NOT NULL
ON CONFLICT (provider, entity, entity_id) DO NOTHING;

DELETE FROM entity_features_due
WHERE
    (entity = 'customer' AND entity_id !~ '^[^/]+/(live|test)/')
    OR (entity = 'merchant' AND entity_id !~ '/(live|test)$');

COMMENT ON COLUMN entity_features.entity_id IS
    'Customer: <merchant>/<live or test>/<id>. Merchant: <merchant>/<live or test>. Card: its hash. Key.';
COMMENT ON COLUMN entity_features_due.entity_id IS 'As in entity_features. Key.';
COMMENT ON COLUMN payment_events_quarantine.redriven_body_sha256 IS
    'Hex SHA-256 of the body that was sent again, or of the delivery that became the event.';
