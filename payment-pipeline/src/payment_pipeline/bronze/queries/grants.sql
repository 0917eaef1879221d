-- The rights of each service's role in bronze: bronze/grants.py, after the migrations. All other
-- rights are revoked. The owner has all rights, for migrations and the operators' commands. The
-- gateway, the normalizer, the dispatcher and inference have no role, because they don't use bronze.

-- name: existing
-- The roles that exist on the server.
SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)

-- name: close
-- By default every user of the server may connect and create temporary tables.
REVOKE ALL ON DATABASE {database} FROM PUBLIC

-- name: take_back
-- Revokes all rights of a role, so that it has only the rights below.
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role};
REVOKE ALL ON SCHEMA {schema} FROM {role};
REVOKE ALL ON DATABASE {database} FROM {role};
GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA {schema} TO {role}

-- name: payments_worker
-- The worker adds rows, folds features, and fills in late scores. It changes no amount, status, key or
-- time of an event, and deletes nothing. It copies each batch to a temporary table first. In the
-- quarantine it sees only the key, which it needs to store a dead letter once.
GRANT TEMPORARY ON DATABASE {database} TO {role};
GRANT SELECT, INSERT ON payment_events TO {role};
GRANT UPDATE (
    fraud_score, churn_score, retry_strategy, scores, inference_status, ingest_xid
) ON payment_events TO {role};
GRANT INSERT ON payment_events_quarantine TO {role};
GRANT SELECT (
    source_topic, source_partition, source_offset, failure
) ON payment_events_quarantine TO {role};
GRANT SELECT, INSERT ON payment_decisions TO {role};
GRANT SELECT, INSERT, UPDATE ON entity_features TO {role};
GRANT SELECT ON erased_objects TO {role}

-- name: payments_lake
-- The lake reads the columns that it holds, so it reads no signed body. Its progress is in the lake.
GRANT SELECT ON payment_events, payment_decisions, ledger_audits, bronze_restores TO {role};
GRANT SELECT ({quarantine_but_body}) ON payment_events_quarantine TO {role}

-- name: payments_reader
-- Audits and traces only read. They read the bodies of dead letters too, to compute control totals.
-- An audit adds only its own row.
GRANT SELECT ON
    payment_events, payment_events_quarantine, payment_decisions, entity_features, erasures,
    payment_events_history, entity_features_due, bronze_restores, provider_event_inventory,
    provider_cursors, provider_backfills
TO {role};
GRANT INSERT ON ledger_audits TO {role}

-- name: payments_actions
-- The operators' commands extend the chain of their actions, and read it. Nobody changes a row.
GRANT SELECT, INSERT ON operator_actions TO {role}
