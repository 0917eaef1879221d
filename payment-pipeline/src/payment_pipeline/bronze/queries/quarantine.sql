-- Writes payment_events_quarantine: bronze/writer.py.

-- name: insert
-- Stores a dead letter once, even if its range is read again.
INSERT INTO payment_events_quarantine (
    source_topic, source_partition, source_offset, failure, provider, event_id,
    provider_event_type, errors, component, component_version, body, body_sha256, verdict,
    received_at, rejected_at, traceparent, workflow_id, identity_sha256
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
ON CONFLICT (source_topic, source_partition, source_offset, failure) DO NOTHING
