{{ config(materialized='view') }}

with

events as (

    select * from {{ ref('int_payment_events') }}

)

select
    -- ids
    event_key,
    payment_key,
    customer_key,
    merchant_key,
    provider,
    event_id,
    payment_id,
    object_id,
    customer_id,
    merchant_id,
    body_sha256,
    identity_sha256,

    -- the event
    kind,
    event_type,
    provider_event_type,
    status,
    provider_status,
    decline_reason,
    decline_class,
    inference_status,

    -- numerics
    currency,
    currency_exponent,
    amount_minor,
    amount,
    fraud_score,
    churn_score,
    retry_strategy,

    -- booleans
    is_live,

    -- timestamps
    cast(date(occurred_at) as date) as occurred_on,
    occurred_at,
    received_at,
    ingested_at,
    modelled_at,
    ingest_xid
from events
