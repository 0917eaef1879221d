-- Who did what: the actions of operators, as a hash chain. May run twice.

CREATE TABLE IF NOT EXISTS operator_actions (
    number        bigint NOT NULL,
    acted_at      timestamptz NOT NULL,
    action        text NOT NULL,
    stage         text NOT NULL,
    begun_number  bigint,
    claimed_by    text,
    os_user       text NOT NULL,
    os_uid        bigint NOT NULL,
    sudo_user     text,
    host          text NOT NULL,
    detail        jsonb NOT NULL,
    previous_hash text NOT NULL,
    hash          text NOT NULL,
    CONSTRAINT operator_actions_key PRIMARY KEY (number),
    -- Two writers that miss each other's row can't both follow the same action.
    CONSTRAINT operator_actions_follow_once UNIQUE (previous_hash),
    CONSTRAINT operator_actions_stage CHECK (stage IN ('begun', 'ended', 'failed'))
);

-- The owner too changes a row only after an ALTER TABLE, and then the chain shows the change.
CREATE OR REPLACE FUNCTION operator_actions_refuse() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN RAISE EXCEPTION ''operator_actions is append-only'' USING ERRCODE = ''insufficient_privilege''; END';
CREATE OR REPLACE TRIGGER operator_actions_append_only BEFORE UPDATE OR DELETE ON operator_actions
FOR EACH ROW EXECUTE FUNCTION operator_actions_refuse();

COMMENT ON TABLE operator_actions IS
    'Commands of operators that changed data, as a hash chain. Append-only.';
COMMENT ON COLUMN operator_actions.number IS 'Order of the chain, without gaps. Key.';
COMMENT ON COLUMN operator_actions.acted_at IS 'When the row was written, UTC.';
COMMENT ON COLUMN operator_actions.action IS 'The command, e.g. review approve.';
COMMENT ON COLUMN operator_actions.stage IS
    'begun before the command acts, then ended or failed.';
COMMENT ON COLUMN operator_actions.begun_number IS
    'The number of the row of the same command with the stage begun; null in that row.';
COMMENT ON COLUMN operator_actions.claimed_by IS
    'The name that the operator gave; null if the command takes none.';
COMMENT ON COLUMN operator_actions.os_user IS
    'The operating-system user of the process, by its number.';
COMMENT ON COLUMN operator_actions.os_uid IS 'The number of that user.';
COMMENT ON COLUMN operator_actions.sudo_user IS
    'The user who called sudo, as the environment says; null without sudo.';
COMMENT ON COLUMN operator_actions.host IS 'The machine of the process.';
COMMENT ON COLUMN operator_actions.detail IS 'Ids, counts and the exit code. Never a customer.';
COMMENT ON COLUMN operator_actions.previous_hash IS 'The hash of the row before.';
COMMENT ON COLUMN operator_actions.hash IS
    'Hex SHA-256 over all other columns.';
