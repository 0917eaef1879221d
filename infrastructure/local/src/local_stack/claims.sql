-- What the doctor asks of PostgreSQL: claims.py.

-- name: oldest_writer
-- The transaction that has been writing for longest: the lake reads nothing that is younger.
SELECT pid, application_name, extract(EPOCH FROM clock_timestamp() - xact_start)::float8
FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND datname = current_database()
ORDER BY xact_start
LIMIT 1
