-- Queries of `payments doctor`, for retention_checks.py.

-- name: oldest_writer
-- The oldest open or prepared transaction that writes, in any database of the cluster. The lake
-- loads only rows that are older than this transaction (see `source`).
SELECT pid, name, database, extract(EPOCH FROM clock_timestamp() - since)::float8
FROM (
    SELECT pid, application_name AS name, datname AS database, xact_start AS since
    FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL
    UNION ALL
    SELECT NULL, gid, database, prepared
    FROM pg_prepared_xacts
) AS writers
WHERE since IS NOT NULL -- only members of pg_read_all_stats see the transactions of other roles
ORDER BY since
LIMIT 1
