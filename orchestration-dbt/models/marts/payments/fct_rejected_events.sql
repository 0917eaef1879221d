with

rejections as (

    select * from {{ ref('stg_quarantined_events') }}

)

select
    rejection_key,
    provider,
    event_id,
    provider_event_type,
    failure,
    component,
    component_version,
    source_topic,
    cast(received_at as date) as received_on,
    received_at,
    rejected_at,
    ingested_at,
    resolution,
    resolved_at
from rejections
