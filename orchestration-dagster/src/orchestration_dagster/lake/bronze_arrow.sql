-- Queries that read bronze for the lake, used by lake/bronze_arrow.py. ADBC streams a query as COPY,
-- which takes no parameters. Values in braces are names of the column contract, integers or dates
-- that the loader itself made.

-- name: source
-- The identity of this database, its transaction horizon, and the age of its oldest writer. A
-- promoted or restored server has another timeline, a rebuilt server has another identifier, and a
-- database that was filled from a dump also names the restore. Writers of every database of the
-- cluster count. Only members of pg_read_all_stats see the transactions of other roles.
SELECT
    system_identifier || '/' || timeline_id || coalesce(
        '/' || (SELECT extract(EPOCH FROM max(started_at))::bigint FROM bronze_restores), ''
    ) AS source,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon_xid,
    coalesce(
        extract(
            EPOCH FROM clock_timestamp() - least(
                (SELECT min(xact_start) FROM pg_stat_activity WHERE backend_xid IS NOT NULL),
                (SELECT min(prepared) FROM pg_prepared_xacts)
            )
        ), 0
    )::float8 AS horizon_age_s
FROM pg_control_system(), pg_control_checkpoint()

-- name: alone
-- Waits until no other transaction holds the lock of this table. This transaction then holds the lock
-- until it ends.
SELECT pg_advisory_xact_lock(hashtextextended('payments.lake.{table}', 0)) IS NULL AS held

-- name: batch
-- The next rows in the order of (ingest_xid, id), without rows of transactions that may still be
-- running. Every transaction below the snapshot's xmin has ended, so no more rows can appear there.
-- ORDER BY names the table, because the selected ingest_xid is an integer, which has no index.
SELECT {columns}
FROM {table}
WHERE
    (ingest_xid, id) > ('{xid}'::xid8, {id})
    AND ingest_xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY {table}.ingest_xid, {table}.id
LIMIT {rows_max}

-- name: whole
-- All rows up to a watermark, in insertion order. Rows with a transaction id that this database has
-- not reached yet come from the dump of another database. They count as loaded.
SELECT {columns}
FROM {table}
WHERE
    (ingest_xid, id) <= ('{xid}'::xid8, {id})
    OR ingest_xid >= (SELECT pg_snapshot_xmax(pg_current_snapshot()))
ORDER BY id

-- name: rest
-- All committed rows after a watermark, above the horizon too.
SELECT {columns}
FROM {table}
WHERE
    (ingest_xid, id) > ('{xid}'::xid8, {id})
    AND ingest_xid < (SELECT pg_snapshot_xmax(pg_current_snapshot()))
ORDER BY id

-- name: day
-- All rows up to a watermark that were inserted on one UTC day.
SELECT {columns}
FROM {table}
WHERE
    ingested_at >= '{start}'::timestamptz AND ingested_at < '{end}'::timestamptz
    AND (
        (ingest_xid, id) <= ('{xid}'::xid8, {id})
        OR ingest_xid >= (SELECT pg_snapshot_xmax(pg_current_snapshot()))
    )
ORDER BY id

-- name: in_flux
-- Rows after a watermark that the lake may hold already in an older state, since they were scored
-- again.
SELECT id
FROM {table}
WHERE
    (ingest_xid, id) > ('{xid}'::xid8, {id})
    AND ingest_xid < (SELECT pg_snapshot_xmax(pg_current_snapshot()))
    AND id <= {highest_id}

-- name: waiting
-- The number of rows after a watermark, and how long the oldest new row has waited. A row that was
-- scored again is in the lake already, in an older state, so its insertion time says nothing about
-- its wait: such rows don't count for the age.
SELECT
    count(*) AS rows,
    coalesce(extract(
        EPOCH FROM clock_timestamp() - min(ingested_at) FILTER (WHERE id > {highest_id})
    ), 0)::float8 AS oldest_age_s
FROM {table}
WHERE
    (ingest_xid, id) > ('{xid}'::xid8, {id})
    AND ingest_xid < (SELECT pg_snapshot_xmax(pg_current_snapshot()))

-- name: any_waiting
-- Whether the next load would find a row.
SELECT EXISTS (
    SELECT FROM {table}
    WHERE
        (ingest_xid, id) > ('{xid}'::xid8, {id})
        AND ingest_xid < pg_snapshot_xmin(pg_current_snapshot())
)

-- name: totals
-- Rows and amounts of bronze up to a watermark, by UTC day of insertion and currency; and the ids of
-- rows that wait for the next load and that the lake may hold already in an older state. Such a row
-- is no difference between bronze and the lake.
SELECT
    day,
    currency,
    count(*) FILTER (WHERE loaded) AS rows,
    coalesce(sum(amount) FILTER (WHERE loaded), 0)::text AS amount_minor,
    array_agg(id) FILTER (WHERE NOT loaded AND id <= {highest_id}) AS in_flux
FROM (
    SELECT
        id,
        (ingested_at AT TIME ZONE 'UTC')::date AS day,
        {currency} AS currency,
        {amount} AS amount,
        (ingest_xid, id) <= ('{xid}'::xid8, {id})
        OR ingest_xid >= (SELECT pg_snapshot_xmax(pg_current_snapshot())) AS loaded
    FROM {table}
    WHERE ingested_at >= '{since}'::timestamptz
) AS rows_since
GROUP BY 1, 2
