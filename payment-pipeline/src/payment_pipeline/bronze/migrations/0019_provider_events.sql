-- The provider's own list of its events, how far it is pulled, and what was fetched. May run twice.

CREATE TABLE IF NOT EXISTS provider_event_inventory (
    provider         text NOT NULL,
    account          text NOT NULL,
    event_id         text NOT NULL,
    event_type       text NOT NULL,
    livemode         boolean NOT NULL,
    is_modelled      boolean NOT NULL,
    created_at       timestamptz NOT NULL,
    api_version      text,
    pending_webhooks integer NOT NULL,
    identity_sha256  text NOT NULL,
    ingested_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT provider_event_inventory_key PRIMARY KEY (provider, account, event_id)
);

-- The comparison with bronze joins by the event's id.
CREATE INDEX IF NOT EXISTS provider_event_inventory_event ON provider_event_inventory (provider, event_id);

COMMENT ON TABLE provider_event_inventory IS
    'Every event that a provider lists for an account, received or not. It names no customer.';
COMMENT ON COLUMN provider_event_inventory.provider IS 'The provider, e.g. stripe. Key.';
COMMENT ON COLUMN provider_event_inventory.account IS
    'The connected account, or platform for the account of the key. Key.';
COMMENT ON COLUMN provider_event_inventory.event_id IS 'The provider''s event id. Key.';
COMMENT ON COLUMN provider_event_inventory.event_type IS 'The provider''s name of the type.';
COMMENT ON COLUMN provider_event_inventory.livemode IS 'False for the provider''s test mode.';
COMMENT ON COLUMN provider_event_inventory.is_modelled IS
    'False if no table stores events of this type.';
COMMENT ON COLUMN provider_event_inventory.created_at IS
    'When the provider created the event, UTC.';
COMMENT ON COLUMN provider_event_inventory.api_version IS
    'The API version in which the provider keeps the event.';
COMMENT ON COLUMN provider_event_inventory.pending_webhooks IS
    'Endpoints without the event when last listed.';
COMMENT ON COLUMN provider_event_inventory.identity_sha256 IS
    'As in payment_events, from the listed body.';
COMMENT ON COLUMN provider_event_inventory.ingested_at IS 'When this row was inserted, UTC.';

CREATE TABLE IF NOT EXISTS provider_cursors (
    provider      text NOT NULL,
    account       text NOT NULL,
    livemode      boolean NOT NULL,
    stream        text NOT NULL,
    position      text,
    window_from   timestamptz NOT NULL,
    window_to     timestamptz NOT NULL,
    complete_from timestamptz,
    complete_to   timestamptz,
    finished_at   timestamptz,
    CONSTRAINT provider_cursors_key PRIMARY KEY (provider, account, livemode, stream)
);

COMMENT ON TABLE provider_cursors IS
    'How far each stream of a provider is pulled. A cursor moves in the transaction of its rows.';
COMMENT ON COLUMN provider_cursors.provider IS 'The provider, e.g. stripe. Key.';
COMMENT ON COLUMN provider_cursors.account IS
    'The connected account, or platform for the account of the key. Key.';
COMMENT ON COLUMN provider_cursors.livemode IS 'False for the provider''s test mode. Key.';
COMMENT ON COLUMN provider_cursors.stream IS 'What is pulled, e.g. events. Key.';
COMMENT ON COLUMN provider_cursors.position IS
    'The id after which the next page begins; null if the last walk is complete.';
COMMENT ON COLUMN provider_cursors.window_from IS 'First creation of the last walk, UTC.';
COMMENT ON COLUMN provider_cursors.window_to IS 'Last creation of the last walk, UTC.';
COMMENT ON COLUMN provider_cursors.complete_from IS
    'From here to complete_to everything is pulled, UTC; null before the first walk ended.';
COMMENT ON COLUMN provider_cursors.complete_to IS 'End of the complete time, UTC.';
COMMENT ON COLUMN provider_cursors.finished_at IS 'When a walk last reached its end, UTC.';

CREATE TABLE IF NOT EXISTS provider_backfills (
    provider    text NOT NULL,
    account     text NOT NULL,
    event_id    text NOT NULL,
    body_sha256 text NOT NULL,
    asked_by    text NOT NULL,
    sent_at     timestamptz NOT NULL,
    ingested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT provider_backfills_key PRIMARY KEY (provider, account, event_id)
);

COMMENT ON TABLE provider_backfills IS
    'Events that were fetched from a provider, because no webhook brought them.';
COMMENT ON COLUMN provider_backfills.provider IS 'The provider, e.g. stripe. Key.';
COMMENT ON COLUMN provider_backfills.account IS
    'The connected account, or platform for the account of the key. Key.';
COMMENT ON COLUMN provider_backfills.event_id IS 'The provider''s event id. Key.';
COMMENT ON COLUMN provider_backfills.body_sha256 IS
    'Hex SHA-256 of the body that was fetched and sent.';
COMMENT ON COLUMN provider_backfills.asked_by IS 'The name that the operator gave.';
COMMENT ON COLUMN provider_backfills.sent_at IS
    'When the body was last sent to its raw topic, UTC.';
COMMENT ON COLUMN provider_backfills.ingested_at IS 'When this row was inserted, UTC.';
