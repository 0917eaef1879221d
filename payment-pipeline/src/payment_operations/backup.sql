-- Queries before and after pg_dump and pg_restore, for backup.py.

-- name: events
-- How many events there are.
SELECT count(*) FROM payment_events

-- name: cut_off
-- 1 if the last restore was interrupted, else 0.
SELECT count(*) FROM (
    SELECT finished_at FROM bronze_restores
    ORDER BY started_at DESC
    LIMIT 1
) AS newest
WHERE finished_at IS NULL

-- name: tables
-- The tables whose rows are in a backup.
SELECT tablename FROM pg_tables
WHERE
    schemaname = current_schema()
    AND tablename NOT LIKE '%yoyo%'
    AND tablename <> 'bronze_restores'

-- name: changed_tables
-- The tables whose rows an interrupted restore left alone, unless something else wrote them. The
-- operators' actions don't count: each command adds one.
SELECT tablename FROM pg_tables
WHERE
    schemaname = current_schema()
    AND tablename NOT LIKE '%yoyo%'
    AND tablename NOT IN ('bronze_restores', 'operator_actions')

-- name: writers
-- The transactions that wrote the present rows, by PostgreSQL's xmin, not by the column ingest_xid.
SELECT DISTINCT xmin::text::bigint AS writer FROM {table}

-- name: younger
-- Whether a row was inserted since the last restore began.
SELECT EXISTS (
    SELECT FROM {table}
    WHERE ingested_at >= (SELECT max(started_at) FROM bronze_restores)
)

-- name: begin
-- Marks this as another database for the lake's loader.
INSERT INTO bronze_restores DEFAULT VALUES

-- name: renumber
-- The transaction ids of the dumped database are not valid in this database.
UPDATE {table} SET ingest_xid = pg_current_xact_id()

-- name: finish
-- All rows are restored.
UPDATE bronze_restores SET finished_at = clock_timestamp()
WHERE started_at = (SELECT max(started_at) FROM bronze_restores)

-- name: tidy
-- Removes the row versions that the renumbering left, and updates the planner's statistics.
VACUUM ANALYZE {table}
