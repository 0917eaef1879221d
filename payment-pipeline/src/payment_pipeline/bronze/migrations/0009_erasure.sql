-- The erasures: when, and how much was found. The person is not stored. May run twice.

CREATE TABLE IF NOT EXISTS erasures (
    id                bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    provider          text NOT NULL,
    started_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at       timestamptz,
    topics_whole_from timestamptz,
    cuts              jsonb NOT NULL DEFAULT '[]',
    found             jsonb NOT NULL DEFAULT '{}',
    remaining         jsonb,
    CONSTRAINT erasures_key PRIMARY KEY (id)
);

-- The payments, charges, subscriptions and invoices of erased persons, to recognize later events. The
-- token is random, so it doesn't identify the person.
CREATE TABLE IF NOT EXISTS erased_objects (
    provider  text NOT NULL,
    object_id text NOT NULL,
    token     text NOT NULL,
    CONSTRAINT erased_objects_key PRIMARY KEY (provider, object_id)
);

COMMENT ON TABLE erasures IS
    'One row an erasure of a person: when, and how much was found and is left. Never who.';
COMMENT ON COLUMN erasures.id IS 'Order of the erasures. Key.';
COMMENT ON COLUMN erasures.provider IS 'Whose customer it was, e.g. stripe.';
COMMENT ON COLUMN erasures.started_at IS 'When it began to change anything, UTC.';
COMMENT ON COLUMN erasures.finished_at IS 'When its proof was there, UTC; null: cut off.';
COMMENT ON COLUMN erasures.topics_whole_from IS 'Kafka lacks what was received before, UTC.';
COMMENT ON COLUMN erasures.cuts IS 'Each partition that was cut, and before which offset.';
COMMENT ON COLUMN erasures.found IS 'How much named the person, by place.';
COMMENT ON COLUMN erasures.remaining IS 'The same at the end: none, or it is not done.';
COMMENT ON TABLE erased_objects IS
    'Payments and subscriptions of erased persons: what comes later about one takes its token.';
COMMENT ON COLUMN erased_objects.provider IS 'Whose object it is. Key.';
COMMENT ON COLUMN erased_objects.object_id IS 'The provider''s id of the object. Key.';
COMMENT ON COLUMN erased_objects.token IS 'What stands in the place of the customer''s id.';
