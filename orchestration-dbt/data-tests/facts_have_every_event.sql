-- One row an event: none of the lake's is missing from the facts, none is there twice.
with

lake as (

    select
        count(distinct provider || ':' || event_id) as events,
        count(*) as row_count
    from {{ source('data', 'payment_events') }}

),

facts as (

    select
        count(distinct event_key) as events,
        count(*) as row_count
    from {{ ref('fct_payment_events') }}

)

select
    lake.events as lake_events,
    facts.events as fact_events,
    facts.row_count as fact_rows
from lake
cross join facts
where lake.events <> facts.events or facts.events <> facts.row_count
