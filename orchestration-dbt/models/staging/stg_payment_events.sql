with

events as (

    select
        *,
        cast(json_parse(attributes) as {{ attributes_type() }}) as own,
        cast(json_parse(scores) as {{ scores_type() }}) as answers
    from {{ source('data', 'payment_events') }}

),

renamed as (

    select
        -- ids
        {{ surrogate_key(['provider', 'event_id']) }} as event_key,
        case when payment_id is not null then {{ surrogate_key(['provider', 'payment_id']) }} end as payment_key,
        {{ member_key(['provider', "coalesce(merchant_id, 'platform')", 'livemode'], 'customer_id') }} as customer_key,
        {{ surrogate_key(['provider', "coalesce(merchant_id, 'platform')"]) }} as merchant_key,
        provider,
        event_id,
        payment_id,
        object_id,
        customer_id,
        coalesce(merchant_id, 'platform') as merchant_id,
        own.charge_id,
        own.invoice_id,
        own.subscription_id,
        body_sha256,
        identity_sha256,

        -- the event
        kind,
        event_type,
        provider_event_type,
        status,
        provider_status,
        own.reason,
        coalesce(own.failure_reason, own.failure_code) as failure_reason,
        own.cancellation_reason,
        own.capture_method,
        own.collection_method,
        own.fraud_type,
        own.network_reason_code,
        own.decline.reason as decline_reason,
        own.decline.decline_class,
        own.decline.network_decline_code,
        own.decline.network_advice_code,

        -- payment method
        own.payment_method.type as payment_method_type,
        own.payment_method.brand as card_brand,
        own.payment_method.funding as card_funding,
        own.payment_method.country as card_country,
        own.payment_method.wallet,
        own.risk.level as risk_level,

        -- amounts
        currency,
        cast(currency_exponent as integer) as currency_exponent,
        amount_minor,
        {{ cents_to_dollars('amount_minor', 'currency_exponent') }} as amount,
        own.amount_authorized_minor,
        own.amount_capturable_minor,
        own.amount_received_minor,
        own.amount_captured_minor,
        own.amount_refunded_minor,
        own.net_balance_minor,
        own.net_balance_currency,
        own.withdrawn_minor,
        own.reinstated_minor,

        -- customer, subscription, payout
        own.country,
        own.delinquent as is_delinquent,
        own.automatic as is_automatic,
        own.method as payout_method,
        own."interval" as billing_interval,
        own.interval_count as billing_interval_count,
        own.quantity,
        cast(own.monthly_amount_minor as decimal(38, 6)) as monthly_amount_minor,
        own.has_unknown_amount,
        own.is_collection_paused,
        own.cancel_at_period_end as is_cancel_at_period_end,

        -- booleans
        livemode as is_live,

        -- values just before the event, which order the events of one second
        own.previous.status as previous_status,
        own.previous.amount_refunded_minor as previous_amount_refunded_minor,
        cast(own.previous.monthly_amount_minor as decimal(38, 6)) as previous_monthly_amount_minor,
        own.previous.is_collection_paused as previous_is_collection_paused,
        own.previous.cancel_at_period_end as previous_is_cancel_at_period_end,
        own.previous.delinquent as previous_is_delinquent,
        own.previous.country as previous_country,

        -- answers of the models
        fraud_score,
        churn_score,
        retry_strategy,
        try_cast(json_extract_scalar(scores, '$.retry_strategy.detail.delay_s') as double) as retry_delay_s,
        inference_status,
        answers,

        -- timestamps
        occurred_at,
        received_at,
        ingested_at,
        corrected_at,
        {{ moment('own.arrival_at') }} as arrival_at,
        {{ moment('own.evidence_due_at') }} as evidence_due_at,
        {{ moment('own.requested_at') }} as requested_at,
        {{ moment('own.current_period_start_at') }} as current_period_start_at,
        {{ moment('own.current_period_end_at') }} as current_period_end_at,
        {{ moment('own.trial_end_at') }} as trial_end_at,
        {{ moment('own.canceled_at') }} as canceled_at,
        {{ moment('own.ended_at') }} as ended_at,

        -- the way here
        substr(traceparent, 4, 32) as trace_id,

        -- the load
        cast(ingest_xid as bigint) as ingest_xid,
        id as ingest_id
    from events

)

select
    *,
    {{ lifecycle_state() }} as lifecycle_state,
    {{ lifecycle_rank(lifecycle_state()) }} as lifecycle_rank
from renamed
