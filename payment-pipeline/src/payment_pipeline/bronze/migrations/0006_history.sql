-- Corrections: the earlier versions of rows, and the entities with stale features. May run twice.

ALTER TABLE payment_events ADD COLUMN IF NOT EXISTS corrected_at timestamptz;
COMMENT ON COLUMN payment_events.corrected_at IS
    'When a replay put this version in an earlier one''s place, UTC; null: never.';

-- Three columns, then the columns of payment_events, so that a row is kept unchanged.
CREATE TABLE IF NOT EXISTS payment_events_history (
    valid_from   timestamptz NOT NULL,
    valid_to     timestamptz NOT NULL,
    corrected_by text NOT NULL,
    LIKE payment_events INCLUDING COMMENTS,
    CONSTRAINT payment_events_history_key PRIMARY KEY (event_id, provider, valid_from),
    CONSTRAINT history_is_a_span CHECK (valid_from < valid_to)
);

COMMENT ON TABLE payment_events_history IS
    'What rows of payment_events said until a replay corrected them, with system-time validity.';
COMMENT ON COLUMN payment_events_history.valid_from IS
    'From when on payment_events had this version, UTC. Key.';
COMMENT ON COLUMN payment_events_history.valid_to IS
    'Until just before when it had it, UTC: the next version''s valid_from.';
COMMENT ON COLUMN payment_events_history.corrected_by IS 'The replay that put another in its place.';

-- A correction adds rows, and the new states remove them. If a replay dies in between, the next replay
-- continues.
CREATE TABLE IF NOT EXISTS entity_features_due (
    provider  text NOT NULL,
    entity    text NOT NULL,
    entity_id text NOT NULL,
    CONSTRAINT entity_features_due_key PRIMARY KEY (provider, entity, entity_id)
);

COMMENT ON TABLE entity_features_due IS
    'Entities whose online features a correction has made stale, until they are folded anew.';
COMMENT ON COLUMN entity_features_due.provider IS 'Whose id entity_id is. Key.';
COMMENT ON COLUMN entity_features_due.entity IS 'customer, merchant or card. Key.';
COMMENT ON COLUMN entity_features_due.entity_id IS 'The provider''s id, or the card''s keyed hash. Key.';

-- A restored database may have the same name, and even the same cluster, as the previous one. The
-- loader refuses a database with a restore that the lake doesn't know, until the two were compared.
CREATE TABLE IF NOT EXISTS bronze_restores (
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    CONSTRAINT bronze_restores_key PRIMARY KEY (started_at)
);

COMMENT ON TABLE bronze_restores IS 'When bronze was brought back from a backup.';
COMMENT ON COLUMN bronze_restores.started_at IS 'When it began, UTC: what the lake knows it by. Key.';
COMMENT ON COLUMN bronze_restores.finished_at IS 'When all rows were there, UTC; null: cut off.';
