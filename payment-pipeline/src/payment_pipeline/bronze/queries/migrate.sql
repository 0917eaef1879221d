-- What bronze/migrate.py asks beside yoyo. Parameters are psycopg's.

-- name: lock
-- Hold until this connection ends; wait for whoever migrates now.
SELECT pg_advisory_lock(%s)
