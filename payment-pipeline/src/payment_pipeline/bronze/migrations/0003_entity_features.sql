-- The table of online features. May run twice.

CREATE TABLE IF NOT EXISTS entity_features (
    provider               text NOT NULL,
    entity                 text NOT NULL,
    entity_id              text NOT NULL,
    events                 bigint NOT NULL DEFAULT 0,
    attempts               bigint NOT NULL DEFAULT 0,
    successes              bigint NOT NULL DEFAULT 0,
    failures               bigint NOT NULL DEFAULT 0,
    refunds                bigint NOT NULL DEFAULT 0,
    disputes               bigint NOT NULL DEFAULT 0,
    fraud_warnings         bigint NOT NULL DEFAULT 0,
    invoices_failed        bigint NOT NULL DEFAULT 0,
    first_seen_at          timestamptz,
    last_seen_at           timestamptz,
    last_success_at        timestamptz,
    recent_attempts_at     timestamptz[] NOT NULL DEFAULT '{}',
    recent_failures_at     timestamptz[] NOT NULL DEFAULT '{}',
    counterparties         text[] NOT NULL DEFAULT '{}',
    amounts                jsonb NOT NULL DEFAULT '{}',
    subscription_status    text,
    subscription_status_at timestamptz,
    CONSTRAINT entity_features_key PRIMARY KEY (provider, entity, entity_id),
    CONSTRAINT entity_known CHECK (entity IN ('customer', 'merchant', 'card'))
) WITH (
    -- Rows are updated often. A third of each page stays free, so that the next version of a row fits
    -- on the same page and needs no index entry. In tests/bench/bronze.py this was true for 83 % of
    -- the updates, for 59 % with full pages, and for 92 % with half-empty pages.
    fillfactor = 70,
    -- Every batch updates the row of a merchant, so dead versions are removed early.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05
);

COMMENT ON TABLE entity_features IS
    'Online features: what is known of a customer, a merchant or a card, kept with each event.';
COMMENT ON COLUMN entity_features.provider IS 'Whose id entity_id is. Key.';
COMMENT ON COLUMN entity_features.entity IS 'customer, merchant or card. Key.';
COMMENT ON COLUMN entity_features.entity_id IS 'The provider''s id, or the card''s keyed hash. Key.';
COMMENT ON COLUMN entity_features.events IS 'Events about it, of every kind.';
COMMENT ON COLUMN entity_features.attempts IS 'Attempts to move money.';
COMMENT ON COLUMN entity_features.successes IS 'Attempts that succeeded.';
COMMENT ON COLUMN entity_features.failures IS 'Attempts that failed.';
COMMENT ON COLUMN entity_features.refunds IS 'Refunds created.';
COMMENT ON COLUMN entity_features.disputes IS 'Disputes created.';
COMMENT ON COLUMN entity_features.fraud_warnings IS 'Early fraud warnings of the issuer.';
COMMENT ON COLUMN entity_features.invoices_failed IS 'Invoices whose payment failed.';
COMMENT ON COLUMN entity_features.first_seen_at IS 'Earliest event by the provider''s time, UTC.';
COMMENT ON COLUMN entity_features.last_seen_at IS 'Latest event by the provider''s time, UTC.';
COMMENT ON COLUMN entity_features.last_success_at IS 'Latest attempt that succeeded, UTC.';
COMMENT ON COLUMN entity_features.recent_attempts_at IS 'The latest attempts, oldest first.';
COMMENT ON COLUMN entity_features.recent_failures_at IS 'The latest failures, oldest first.';
COMMENT ON COLUMN entity_features.counterparties IS 'Cards of a customer, customers of a card; capped.';
COMMENT ON COLUMN entity_features.amounts IS 'Attempts by currency: count, sum_minor, max_minor.';
COMMENT ON COLUMN entity_features.subscription_status IS 'Status of the subscription that changed last.';
COMMENT ON COLUMN entity_features.subscription_status_at IS 'When it took that status, UTC.';
