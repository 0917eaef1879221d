-- Keeping the lake's tables small and quick, run by Trino: lake/table_maintenance.py. What stands in
-- braces is a table's name or a limit of ours; a table's parts are named "table$files" and so on.

-- name: compact
-- Small files of the minute's loads into few large ones.
ALTER TABLE {table} EXECUTE optimize(file_size_threshold => '{small_file}')

-- name: expire_snapshots
-- Forget states older than anyone travels back to, with the files that only they had.
ALTER TABLE {table} EXECUTE expire_snapshots(retention_threshold => '{snapshots_kept}')

-- name: allow_snapshots
-- Trino's own minimum is a week, lest somebody forgets states by mistake; of this connection alone.
SET SESSION lakehouse.expire_snapshots_min_retention = '{snapshots_kept}'

-- name: allow_orphans
-- The same of orphans, lest somebody deletes what a writer is about to commit.
SET SESSION lakehouse.remove_orphan_files_min_retention = '{orphans_kept}'

-- name: remove_orphan_files
-- Files that no snapshot knows: what writers left that died before their commit.
ALTER TABLE {table} EXECUTE remove_orphan_files(retention_threshold => '{orphans_kept}')

-- name: analyze
-- Statistics for the planner.
ANALYZE {table}

-- name: statistics
-- What the planner knows: a row a column (name, size, distinct values, …), and one of the table.
SHOW STATS FOR {table}

-- name: table_size
-- How large a table is, and how many states it remembers.
SELECT
    (SELECT count(*) FROM {files}) AS files,
    (SELECT coalesce(sum(file_size_in_bytes), 0) FROM {files}) AS bytes,
    (SELECT count(*) FROM {snapshots}) AS snapshots

-- name: tables
-- What some schemas hold, views left out.
SELECT table_schema, table_name
FROM {catalog}.information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema IN ({schemas})
ORDER BY table_schema, table_name
