-- The comments on tables and columns in plain words. Changes no data. May run twice.

COMMENT ON TABLE payment_events IS
    'One row for each event: the normalized event, its scores and its source.';
COMMENT ON COLUMN payment_events.provider IS
    'The provider that sent the webhook, e.g. stripe. Key with event_id.';
COMMENT ON COLUMN payment_events.provider_event_type IS 'The provider''s name of the type.';
COMMENT ON COLUMN payment_events.occurred_at IS 'Time of the event according to the provider, UTC.';
COMMENT ON COLUMN payment_events.merchant_id IS
    'The connected account; null stands for the platform account.';
COMMENT ON COLUMN payment_events.payment_id IS
    'The payment intent, or the charge if there is no intent.';
COMMENT ON COLUMN payment_events.attributes IS
    'Fields of this kind alone; see the PaymentEvent schema.';
COMMENT ON COLUMN payment_events.normalizer_version IS
    'Version of the normalizer that made the event.';
COMMENT ON COLUMN payment_events.ingest_xid IS
    'Transaction that wrote the row, for the lake''s transaction horizon.';
COMMENT ON COLUMN payment_events.id IS 'Order within the table. It may have gaps.';
COMMENT ON COLUMN payment_events.corrected_at IS
    'When a replay last corrected the row, UTC; null if never.';

COMMENT ON TABLE payment_events_history IS
    'Earlier versions of corrected rows of payment_events, with the time in which each was current.';
COMMENT ON COLUMN payment_events_history.valid_from IS
    'Start of the time in which payment_events had this version, UTC. Key.';
COMMENT ON COLUMN payment_events_history.valid_to IS
    'End of that time, UTC: the valid_from of the next version.';
COMMENT ON COLUMN payment_events_history.corrected_by IS 'The replay that replaced this version.';
COMMENT ON COLUMN payment_events_history.provider IS
    'The provider that sent the webhook, e.g. stripe. Key with event_id.';
COMMENT ON COLUMN payment_events_history.provider_event_type IS 'The provider''s name of the type.';
COMMENT ON COLUMN payment_events_history.occurred_at IS
    'Time of the event according to the provider, UTC.';
COMMENT ON COLUMN payment_events_history.merchant_id IS
    'The connected account; null stands for the platform account.';
COMMENT ON COLUMN payment_events_history.payment_id IS
    'The payment intent, or the charge if there is no intent.';
COMMENT ON COLUMN payment_events_history.attributes IS
    'Fields of this kind alone; see the PaymentEvent schema.';
COMMENT ON COLUMN payment_events_history.normalizer_version IS
    'Version of the normalizer that made the event.';
COMMENT ON COLUMN payment_events_history.ingest_xid IS
    'Transaction that wrote the row, for the lake''s transaction horizon.';
COMMENT ON COLUMN payment_events_history.id IS 'Order within the table. It may have gaps.';
COMMENT ON COLUMN payment_events_history.corrected_at IS
    'When a replay last corrected the row, UTC; null if never.';

COMMENT ON COLUMN payment_events_quarantine.source_topic IS 'Topic of the rejected record. Key.';
COMMENT ON COLUMN payment_events_quarantine.provider IS 'The provider that sent the webhook.';
COMMENT ON COLUMN payment_events_quarantine.event_id IS
    'The provider''s event id, if one could be read.';
COMMENT ON COLUMN payment_events_quarantine.provider_event_type IS
    'The provider''s name of the type.';
COMMENT ON COLUMN payment_events_quarantine.component IS
    'The component that rejected it: gateway, normalizer or orchestrator.';
COMMENT ON COLUMN payment_events_quarantine.rejected_at IS 'When the component rejected it, UTC.';
COMMENT ON COLUMN payment_events_quarantine.ingest_xid IS
    'Transaction that wrote the row, for the lake''s transaction horizon.';
COMMENT ON COLUMN payment_events_quarantine.id IS 'Order within the table. It may have gaps.';
COMMENT ON COLUMN payment_events_quarantine.resolution IS
    'How it was closed: written, already_there, unmodelled, duplicate or dismissed; null while it is open.';
COMMENT ON COLUMN payment_events_quarantine.resolved_by IS
    'The person or the replay that closed it.';
COMMENT ON COLUMN payment_events_quarantine.resolution_note IS
    'The reason, as that person or replay gave it.';
COMMENT ON COLUMN payment_events_quarantine.redriven_event_id IS
    'The provider''s id of the event that was sent again.';
COMMENT ON COLUMN payment_events_quarantine.redriven_body_sha256 IS
    'Hex SHA-256 of the body that was sent again. It is body_sha256 unless a patch changed the body.';
COMMENT ON COLUMN payment_events_quarantine.patch IS
    'The JSON patch (RFC 6902) that changed the body; null if none.';

COMMENT ON TABLE entity_features IS
    'Online features: the history of each customer, merchant and card, updated with each event.';
COMMENT ON COLUMN entity_features.provider IS 'The provider of entity_id. Key.';
COMMENT ON COLUMN entity_features.events IS 'Events about the entity, of every kind.';
COMMENT ON COLUMN entity_features.counterparties IS
    'Cards of a customer, or customers of a card, up to a maximum.';
COMMENT ON COLUMN entity_features.subscription_status_at IS
    'When the subscription got that status, UTC.';

COMMENT ON TABLE payment_decisions IS
    'Verdicts of reviews, and the advice and outcome of recoveries. Append-only.';
COMMENT ON COLUMN payment_decisions.provider IS 'The provider that sent the webhook, e.g. stripe.';
COMMENT ON COLUMN payment_decisions.merchant_id IS
    'The connected account; null stands for the platform account.';
COMMENT ON COLUMN payment_decisions.fraud_score IS 'Reviews: the score that started the review.';
COMMENT ON COLUMN payment_decisions.attempts_left IS
    'Recoveries: number of attempts that the network still allows.';
COMMENT ON COLUMN payment_decisions.decided_by IS
    'Reviews: the person who decided; null after a timeout.';
COMMENT ON COLUMN payment_decisions.ingest_xid IS
    'Transaction that wrote the row, for the lake''s transaction horizon.';
COMMENT ON COLUMN payment_decisions.id IS 'Order within the table. It may have gaps.';

COMMENT ON TABLE ledger_audits IS
    'One row for each audit of the whole pipeline: its window, counts and verdict. Append-only.';
COMMENT ON COLUMN ledger_audits.audited_at IS 'When the audit was complete, UTC.';
COMMENT ON COLUMN ledger_audits.asked_by IS 'What started the audit: schedule or operator.';
COMMENT ON COLUMN ledger_audits.window_since IS
    'Start of the audited receipts, UTC; null if there is no start.';
COMMENT ON COLUMN ledger_audits.window_until IS 'End of the audited receipts, UTC, excluded.';
COMMENT ON COLUMN ledger_audits.is_clean IS
    'True if no event is missing, duplicated, unexplained or mismatched.';
COMMENT ON COLUMN ledger_audits.is_settled IS
    'True if every stage was up to date when it was read.';
COMMENT ON COLUMN ledger_audits.has_client_ledger IS 'True if a client ledger was compared too.';
COMMENT ON COLUMN ledger_audits.normalized_events IS 'Received events that were normalized.';
COMMENT ON COLUMN ledger_audits.rejected_events IS 'Received events that were rejected.';
COMMENT ON COLUMN ledger_audits.unmodelled_events IS 'Received events of a type without a model.';
COMMENT ON COLUMN ledger_audits.quarantine_events IS 'Dead letters that did not become an event.';
COMMENT ON COLUMN ledger_audits.lake_events IS
    'Events in the lake; null if the lake was not audited.';
COMMENT ON COLUMN ledger_audits.facts_events IS
    'Events in the facts; null if the facts were not audited.';
COMMENT ON COLUMN ledger_audits.pending_events IS
    'Events in bronze that the lake or the facts don''t have yet.';
COMMENT ON COLUMN ledger_audits.missing_events IS 'Events in a stage that are in no later stage.';
COMMENT ON COLUMN ledger_audits.duplicated_events IS
    'Events in two rows, or in destinations that exclude each other.';
COMMENT ON COLUMN ledger_audits.unexplained_events IS
    'Events in a stage that are in no earlier stage.';
COMMENT ON COLUMN ledger_audits.mismatched_events IS
    'Events with records that differ in id, currency or amount.';
COMMENT ON COLUMN ledger_audits.ingest_xid IS
    'Transaction that wrote the row, for the lake''s transaction horizon.';
COMMENT ON COLUMN ledger_audits.id IS 'Order within the table. It may have gaps.';

COMMENT ON TABLE erasures IS
    'One row for each erasure of a person: its times and the numbers of mentions. Never the person.';
COMMENT ON COLUMN erasures.provider IS 'The provider of the customer, e.g. stripe.';
COMMENT ON COLUMN erasures.started_at IS 'When the erasure began, UTC.';
COMMENT ON COLUMN erasures.finished_at IS
    'When the proof was complete, UTC; null if the erasure did not finish.';
COMMENT ON COLUMN erasures.topics_whole_from IS
    'Kafka may lack webhooks that were received before, UTC.';
COMMENT ON COLUMN erasures.cuts IS
    'Each partition with deleted records, and the first offset that was kept.';
COMMENT ON COLUMN erasures.found IS 'Number of mentions of the person, by location.';
COMMENT ON COLUMN erasures.remaining IS
    'Number of mentions that are left, by location; null until it was counted.';

COMMENT ON TABLE erased_objects IS
    'Payments and subscriptions of erased persons. Later events about them get the token.';
COMMENT ON COLUMN erased_objects.provider IS 'The provider of the object. Key.';
COMMENT ON COLUMN erased_objects.token IS 'The token that replaces the customer''s id.';

COMMENT ON TABLE entity_features_due IS
    'Entities with stale features after a correction, until a replay computes them again.';
COMMENT ON COLUMN entity_features_due.provider IS 'The provider of entity_id. Key.';

COMMENT ON TABLE bronze_restores IS
    'When bronze was restored from a backup.';
COMMENT ON COLUMN bronze_restores.started_at IS
    'When the restore began, UTC: the lake identifies it by this time. Key.';
COMMENT ON COLUMN bronze_restores.finished_at IS
    'When the restore was complete, UTC; null if it was interrupted.';
