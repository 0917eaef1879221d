-- The resolution of a dead letter: how, when and by whom it was closed. May run twice.

ALTER TABLE payment_events_quarantine
    ADD COLUMN IF NOT EXISTS resolution           text,
    ADD COLUMN IF NOT EXISTS resolved_at          timestamptz,
    ADD COLUMN IF NOT EXISTS resolved_by          text,
    ADD COLUMN IF NOT EXISTS resolution_note      text,
    ADD COLUMN IF NOT EXISTS redriven_event_id    text,
    ADD COLUMN IF NOT EXISTS redriven_body_sha256 text,
    ADD COLUMN IF NOT EXISTS patch                jsonb;

ALTER TABLE payment_events_quarantine
    DROP CONSTRAINT IF EXISTS resolution_known,
    ADD CONSTRAINT resolution_known CHECK (
        resolution IN ('written', 'already_there', 'unmodelled', 'duplicate', 'dismissed')
    ),
    DROP CONSTRAINT IF EXISTS resolution_whole,
    ADD CONSTRAINT resolution_whole CHECK (
        (resolution IS NULL) = (resolved_at IS NULL)
        AND (resolution IS NULL) = (resolved_by IS NULL)
        -- A letter that is closed because its event is elsewhere names that event.
        AND (
            resolution NOT IN ('written', 'already_there', 'unmodelled')
            OR (redriven_event_id IS NOT NULL AND redriven_body_sha256 IS NOT NULL)
        )
    );

-- The open letters: they are few, and operators query them all day.
CREATE INDEX IF NOT EXISTS payment_events_quarantine_open
    ON payment_events_quarantine (failure, id) WHERE resolution IS NULL;

COMMENT ON COLUMN payment_events_quarantine.resolution IS 'How it was closed: written, already_there, unmodelled, duplicate or dismissed; null is open.';
COMMENT ON COLUMN payment_events_quarantine.resolved_at IS 'When it was closed, UTC.';
COMMENT ON COLUMN payment_events_quarantine.resolved_by IS 'Who closed it.';
COMMENT ON COLUMN payment_events_quarantine.resolution_note IS 'Why, in that person''s words.';
COMMENT ON COLUMN payment_events_quarantine.redriven_event_id IS 'The event that it was sent again as, by the provider''s id.';
COMMENT ON COLUMN payment_events_quarantine.redriven_body_sha256 IS 'Hex SHA-256 of the body that was sent again: body''s own unless it was patched.';
COMMENT ON COLUMN payment_events_quarantine.patch IS 'The JSON patch (RFC 6902) between the two bodies; null is none.';
