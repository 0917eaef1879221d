-- Reading bronze for the lake: lake/bronze.py. ADBC streams a query as COPY, which takes no
-- parameters: what stands in braces is a name of the column contract, an integer or a date of ours.

-- name: source
-- Which database this is, and how far back its oldest writer holds the horizon. A promoted or
-- restored server has another timeline, a rebuilt one another identifier. Writers of every database
-- of the cluster count; what other roles do shows only to members of pg_read_all_stats.
SELECT
    system_identifier || '/' || timeline_id AS source,
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

-- name: batch
-- The next rows in the order of (ingest_xid, id), none of a transaction that may still be running:
-- below the snapshot's xmin every transaction has ended, so nothing can appear there any more.
SELECT {columns}
FROM {table}
WHERE
    (ingest_xid, id) > ('{xid}'::xid8, {id})
    AND ingest_xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY ingest_xid, id
LIMIT {rows_max}

-- name: whole
-- Everything that is committed, in insertion order.
SELECT {columns} FROM {table} ORDER BY id

-- name: day
-- Everything that is committed of one UTC day of insertion.
SELECT {columns} FROM {table}
WHERE ingested_at >= '{start}'::timestamptz AND ingested_at < '{end}'::timestamptz
ORDER BY id

-- name: waiting
-- How many rows lie past a watermark, and since when the oldest of them waits.
SELECT
    count(*) AS rows,
    coalesce(extract(EPOCH FROM clock_timestamp() - min(ingested_at)), 0)::float8 AS oldest_age_s
FROM {table}
WHERE (ingest_xid, id) > ('{xid}'::xid8, {id})

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
    (ingested_at AT TIME ZONE 'UTC')::date AS day,
    {currency} AS currency,
    count(*) FILTER (WHERE loaded) AS rows,
    coalesce(sum({amount}) FILTER (WHERE loaded), 0)::text AS amount_minor,
    array_agg(id) FILTER (WHERE NOT loaded AND id <= {highest_id}) AS in_flux
FROM (
    SELECT *, (ingest_xid, id) <= ('{xid}'::xid8, {id}) AS loaded
    FROM {table}
    WHERE ingested_at >= '{since}'::timestamptz
) AS rows_since
GROUP BY 1, 2
