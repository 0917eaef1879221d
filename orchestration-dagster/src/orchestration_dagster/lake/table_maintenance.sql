-- Maintenance of the lake's tables, run by Trino: lake/table_maintenance.py. Values in braces are the
-- names of tables, or limits. Metadata tables are named "table$files" and so on.

-- name: compact
-- Merges the small files of many loads into few large ones.
ALTER TABLE {table} EXECUTE optimize(file_size_threshold => '{small_file}')

-- name: expire_snapshots
-- Removes old snapshots, and the files that only these snapshots reference.
ALTER TABLE {table} EXECUTE expire_snapshots(retention_threshold => '{snapshots_kept}')

-- name: allow_snapshots
-- Lowers Trino's minimum retention of a week, for this connection only. The minimum is a guard against
-- mistakes.
SET SESSION {catalog}.expire_snapshots_min_retention = '{snapshots_kept}'

-- name: allow_orphans
-- Lowers the minimum age of orphan files. Trino's own minimum protects writers that have not committed.
SET SESSION {catalog}.remove_orphan_files_min_retention = '{orphans_kept}'

-- name: remove_orphan_files
-- Deletes files that no snapshot references, left by writers that died before their commit.
ALTER TABLE {table} EXECUTE remove_orphan_files(retention_threshold => '{orphans_kept}')

-- name: analyze
-- Collects statistics for the query planner.
ANALYZE {table}

-- name: statistics
-- The planner's statistics: a row for each column (name, size, distinct values, …), and one for the
-- table.
SHOW STATS FOR {table}

-- name: table_size
-- The number of data files, their size, and the number of snapshots.
SELECT
    (SELECT count(*) FROM {files}) AS files,
    (SELECT coalesce(sum(file_size_in_bytes), 0) FROM {files}) AS bytes,
    (SELECT count(*) FROM {snapshots}) AS snapshots

-- name: tables
-- The tables of some schemas, without views.
SELECT table_schema, table_name
FROM {catalog}.information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema IN ({schemas})
ORDER BY table_schema, table_name
