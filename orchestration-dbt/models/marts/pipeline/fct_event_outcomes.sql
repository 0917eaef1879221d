{{ config(materialized='view') }}

with

events as (

    select * from {{ ref('fct_payment_events') }}

),

-- A redriven dead letter counts as its event, or as a duplicate of another dead letter.
rejections as (

    select * from {{ ref('fct_rejected_events') }}
    where resolution is null or resolution = 'dismissed'

)

select
    event_key as outcome_key,
    provider,
    event_id,
    provider_event_type,
    kind,
    cast('accepted' as varchar) as outcome,
    cast(null as varchar) as failure,
    cast(null as varchar) as component,
    inference_status,
    received_at,
    ingested_at,
    modelled_at
from events
union all
select
    rejection_key as outcome_key,
    provider,
    event_id,
    provider_event_type,
    cast(null as varchar) as kind,
    cast('rejected' as varchar) as outcome,
    failure,
    component,
    cast(null as varchar) as inference_status,
    received_at,
    ingested_at,
    cast(null as timestamp(6) with time zone) as modelled_at
from rejections
