-- The queries of bronze/migrate.py besides yoyo's. The parameters are in psycopg's style.

-- name: lock
-- Waits for another migration to end, and locks until this connection ends.
SELECT pg_advisory_lock(%s)
