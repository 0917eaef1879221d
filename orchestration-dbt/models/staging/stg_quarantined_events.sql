with

quarantine as (

    select * from {{ source('data', 'payment_events_quarantine') }}

)

select
    {{ surrogate_key(['source_topic', 'source_partition', 'source_offset', 'failure']) }} as rejection_key,
    provider,
    event_id,
    provider_event_type,
    failure,
    component,
    component_version,
    source_topic,
    source_partition,
    source_offset,
    received_at,
    rejected_at,
    ingested_at,
    resolution,
    resolved_at
from quarantine
