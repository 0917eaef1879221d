-- What the doctor asks of PostgreSQL: claims.py.

-- name: oldest_writer
-- The transaction that has been writing for longest, or has been prepared and not ended, in any
-- database of the cluster: the lake reads nothing that is younger. It counts the same (`source`).
SELECT pid, name, database, extract(EPOCH FROM clock_timestamp() - since)::float8
FROM (
    SELECT pid, application_name AS name, datname AS database, xact_start AS since
    FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL
    UNION ALL
    SELECT NULL, gid, database, prepared
    FROM pg_prepared_xacts
) AS writers
WHERE since IS NOT NULL -- what other roles do shows only to members of pg_read_all_stats
ORDER BY since
LIMIT 1
