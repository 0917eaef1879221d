{{ config(meta={'dagster': {'ref': {'name': 'fct_payment_events'}}}) }}
-- The facts contain exactly the events of the lake. The loader runs at the same time, so events after the
-- facts' newest transaction are left to the next run.
with

lake as (

    select
        {{ surrogate_key(['provider', 'event_id']) }} as event_key,
        ingest_xid
    from {{ source('data', 'payment_events') }}

),

facts as (

    select
        event_key,
        ingest_xid
    from {{ ref('fct_payment_events') }}

),

newest as (

    select max(ingest_xid) as ingest_xid
    from facts

)

select
    lake.event_key,
    'missing from the facts' as fault
from lake
cross join newest
left join facts on lake.event_key = facts.event_key
where facts.event_key is null and lake.ingest_xid < newest.ingest_xid
union all
select
    facts.event_key,
    'not in the lake' as fault
from facts
left join lake on facts.event_key = lake.event_key
where lake.event_key is null
