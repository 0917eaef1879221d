-- Reading bronze for the lake: lake/bronze_arrow.py. ADBC streams a query as COPY, which takes no
-- parameters: what stands in braces is a name of the column contract, an integer or a date of ours.

-- name: source
-- Which database this is, and how far back its oldest writer holds the horizon. A promoted or
-- restored server has another timeline, a rebuilt one another identifier; one whose rows came back
-- from a dump names the restore. Writers of every database of the cluster count; what other roles
-- do shows only to members of pg_read_all_stats.
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
-- Wait until no other transaction has asked the same; it holds until this one ends.
SELECT pg_advisory_xact_lock(hashtextextended('payments.lake.{table}', 0)) IS NULL AS held

-- name: batch
-- The next rows in the order of (ingest_xid, id), none of a transaction that may still be running:
-- below the snapshot's xmin every transaction has ended, so nothing can appear there any more. The
-- order names the table: the selected ingest_xid is an integer, and no index is on that.
SELECT {columns}
FROM {table}
WHERE
    (ingest_xid, id) > ('{xid}'::xid8, {id})
    AND ingest_xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY {table}.ingest_xid, {table}.id
LIMIT {rows_max}

-- name: whole
-- What is loaded by a watermark, in insertion order. A transaction that this database has yet to
-- begin is another's, which these rows were dumped from: nothing that commits here comes before it.
SELECT {columns}
FROM {table}
WHERE
    (ingest_xid, id) <= ('{xid}'::xid8, {id})
    OR ingest_xid >= (SELECT pg_snapshot_xmax(pg_current_snapshot()))
ORDER BY id

-- name: rest
-- What has committed past a watermark, the horizon or not.
SELECT {columns}
FROM {table}
WHERE
    (ingest_xid, id) > ('{xid}'::xid8, {id})
    AND ingest_xid < (SELECT pg_snapshot_xmax(pg_current_snapshot()))
ORDER BY id

-- name: day
-- What is loaded by a watermark of one UTC day of insertion.
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
-- Rows past a watermark that the lake may hold already, in an older state: scored again since.
SELECT id
FROM {table}
WHERE
    (ingest_xid, id) > ('{xid}'::xid8, {id})
    AND ingest_xid < (SELECT pg_snapshot_xmax(pg_current_snapshot()))
    AND id <= {highest_id}

-- name: waiting
-- How many rows lie past a watermark, and since when the oldest of them waits. One that the lake has
-- in an older state, since it was scored again, has waited since then and not since its insertion.
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
-- Whether a load would find a row.
SELECT EXISTS (
    SELECT FROM {table}
    WHERE
        (ingest_xid, id) > ('{xid}'::xid8, {id})
        AND ingest_xid < pg_snapshot_xmin(pg_current_snapshot())
)

-- name: totals
-- What bronze has loaded by a watermark, by UTC day of insertion and currency; and which rows a
-- load would take that the lake may hold already, in an older state: they are nobody's fault.
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
