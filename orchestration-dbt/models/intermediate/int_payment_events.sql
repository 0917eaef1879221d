{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='event_key',
    on_schema_change='append_new_columns',
    merge_exclude_columns=['modelled_at'],
    post_hook="{{ link_events_to_payments(this) }}",
    properties={'partitioning': "ARRAY['kind']"},
) }}

with

events as (

    select * from {{ ref('stg_payment_events') }}
    {% if is_incremental() %}
        -- The loader appends rows in the order of their transactions, below the transaction horizon, so
        -- rows appended later never precede the rows here. The last transaction is read again, because
        -- the loader may have appended only a part of it.
        where ingest_xid >= (select coalesce(max(known.ingest_xid), 0) from {{ this }} as known)
    {% endif %}

),

versions as (

    -- A later transaction writes an event again when the event was scored later.
    select
        *,
        row_number() over (partition by event_key order by ingest_xid desc, ingest_id desc) as version_number
    from events

)

select
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
    charge_id,
    invoice_id,
    subscription_id,
    body_sha256,
    identity_sha256,
    kind,
    event_type,
    provider_event_type,
    status,
    provider_status,
    lifecycle_state,
    lifecycle_rank,
    reason,
    failure_reason,
    cancellation_reason,
    capture_method,
    collection_method,
    fraud_type,
    network_reason_code,
    decline_reason,
    decline_class,
    network_decline_code,
    network_advice_code,
    payment_method_type,
    card_brand,
    card_funding,
    card_country,
    wallet,
    risk_level,
    currency,
    currency_exponent,
    amount_minor,
    amount,
    amount_authorized_minor,
    amount_capturable_minor,
    amount_received_minor,
    amount_captured_minor,
    amount_refunded_minor,
    net_balance_minor,
    net_balance_currency,
    withdrawn_minor,
    reinstated_minor,
    country,
    is_delinquent,
    is_automatic,
    payout_method,
    billing_interval,
    billing_interval_count,
    quantity,
    monthly_amount_minor,
    has_unknown_amount,
    is_collection_paused,
    is_cancel_at_period_end,
    is_live,
    previous_status,
    previous_amount_refunded_minor,
    previous_monthly_amount_minor,
    previous_is_collection_paused,
    previous_is_cancel_at_period_end,
    previous_is_delinquent,
    previous_country,
    fraud_score,
    churn_score,
    retry_strategy,
    retry_delay_s,
    inference_status,
    answers,
    occurred_at,
    received_at,
    ingested_at,
    arrival_at,
    evidence_due_at,
    requested_at,
    current_period_start_at,
    current_period_end_at,
    trial_end_at,
    canceled_at,
    ended_at,
    ingest_xid,
    current_timestamp(6) as modelled_at
from versions
where version_number = 1
