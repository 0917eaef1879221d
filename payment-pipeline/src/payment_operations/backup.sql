-- Around pg_dump and pg_restore: backup.py.

-- name: events
-- How many events there are.
SELECT count(*) FROM payment_events

-- name: cut_off
-- Whether the last restore never finished.
SELECT count(*) FROM (
    SELECT finished_at FROM bronze_restores
    ORDER BY started_at DESC
    LIMIT 1
) AS newest
WHERE finished_at IS NULL

-- name: tables
-- Every table that a backup has rows of.
SELECT tablename FROM pg_tables
WHERE
    schemaname = current_schema()
    AND tablename NOT LIKE '%yoyo%'
    AND tablename <> 'bronze_restores'

-- name: writers
-- Which transactions wrote the rows that there are: PostgreSQL's own note, not the contract's column.
SELECT DISTINCT xmin::text::bigint AS writer FROM {table}

-- name: younger
-- Whether a row was inserted since the last restore began.
SELECT EXISTS (
    SELECT FROM {table}
    WHERE ingested_at >= (SELECT max(started_at) FROM bronze_restores)
)

-- name: begin
-- From here on this is another database, for whoever loaded from it.
INSERT INTO bronze_restores DEFAULT VALUES

-- name: renumber
-- The transactions of the database that was dumped mean nothing here.
UPDATE {table} SET ingest_xid = pg_current_xact_id()

-- name: finish
-- All rows are there.
UPDATE bronze_restores SET finished_at = clock_timestamp()
WHERE started_at = (SELECT max(started_at) FROM bronze_restores)

-- name: tidy
-- Free what the renumbering left behind, and let the planner know the table.
VACUUM ANALYZE {table}
