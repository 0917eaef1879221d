-- What each service may do in bronze: bronze/grants.py, after the migrations. What is not granted
-- here is taken away. The owner keeps the rest: migrations, and the operator's verbs. The gateway, the
-- normalizer, the dispatcher and inference have no role: they have no business here.

-- name: existing
-- Those of the roles that the server has.
SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)

-- name: close
-- By default anybody who may log in to the server may connect and make temporary tables.
REVOKE ALL ON DATABASE {database} FROM PUBLIC

-- name: take_back
-- Everything, so that what stands below is all that a role has.
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role};
REVOKE ALL ON SCHEMA {schema} FROM {role};
REVOKE ALL ON DATABASE {database} FROM {role};
GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA {schema} TO {role}

-- name: payments_worker
-- Adds rows, folds features, fills in scores that were not to be had. It changes no amount, status,
-- key or time of an event, and deletes nothing. It copies a batch into a temporary table first. Of
-- the quarantine it sees the key alone, by which it keeps a letter once.
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
-- Reads what the lake holds, which is no signed body. How far it has loaded stands in the lake.
GRANT SELECT ON payment_events, payment_decisions, ledger_audits, bronze_restores TO {role};
GRANT SELECT ({quarantine_but_body}) ON payment_events_quarantine TO {role}

-- name: payments_reader
-- The audit and the trace read, the dead letters' bodies too: a control total is computed of them.
-- What an audit found is all that they add.
GRANT SELECT ON
    payment_events, payment_events_quarantine, payment_decisions, entity_features, erasures,
    payment_events_history, entity_features_due, bronze_restores
TO {role};
GRANT INSERT ON ledger_audits TO {role}
