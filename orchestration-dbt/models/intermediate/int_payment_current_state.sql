{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='payment_key',
    on_schema_change='append_new_columns',
    post_hook="{{ forget_payments_without_events(this) }}",
) }}

with

about_payments as (

    select * from {{ ref('int_payment_events') }}
    where {{ is_about_a_payment() }}

),

events as (

    select * from about_payments
    {% if is_incremental() %}
        -- Recompute a payment from all its events when one of its events is new, was scored later, or was
        -- corrected. A correction can move an event to another payment. Then both payments are recomputed.
        where payment_key in (
            select held.payment_key
            from (
                select
                    counted.payment_key,
                    count(*) as events,
                    max(counted.ingest_xid) as ingest_xid
                from about_payments as counted
                group by counted.payment_key
            ) as held
            left join {{ this }} as known on held.payment_key = known.payment_key
            where
                held.events is distinct from known.events
                or held.ingest_xid is distinct from known.ingest_xid
        )
    {% endif %}

),

decided as (

    select
        *,
        -- Any event that implies an authorization counts, because the event of the authorization itself may
        -- be missing or not subscribed to.
        min(case
            when
                event_type in ('payment.amount_capturable_updated', 'payment.succeeded')
                or (kind = 'charge' and status in ('authorized', 'succeeded', 'canceled'))
                then occurred_at
        end) over (partition by payment_key) as authorized_at,
        {{ is_superseded(['status', 'amount_refunded_minor']) }} as is_superseded,
        -- A later update of a failed charge is not an attempt.
        event_type in ('charge.failed', 'payment.failed') as is_failed_attempt,
        -- An update or a refund does not bring a payment into the state that it already has. A payment can
        -- return only to states of the same rank.
        lifecycle_state is distinct from lag(lifecycle_state) over (
            partition by payment_key, currency, lifecycle_rank
            order by occurred_at, event_id
        ) as is_arrival
    from events

),

payments as (

    select
        payment_key,
        currency,
        max({{ recency() }}) as recency,
        -- attributes
        arbitrary(provider) as provider,
        arbitrary(payment_id) as payment_id,
        {{ latest('lifecycle_state') }} as state,
        {{ latest('occurred_at', 'is_arrival') }} as state_at,
        {{ latest('merchant_key') }} as merchant_key,
        {{ latest('merchant_id') }} as merchant_id,
        {{ latest('customer_key', "customer_key <> 'unknown'") }} as customer_key,
        {{ latest('customer_id') }} as customer_id,
        {{ latest('invoice_id') }} as invoice_id,
        {{ latest('is_live') }} as is_live,
        {{ latest('capture_method') }} as capture_method,
        {{ latest('cancellation_reason') }} as cancellation_reason,
        {{ latest('payment_method_type') }} as payment_method_type,
        {{ latest('card_brand') }} as card_brand,
        {{ latest('card_funding') }} as card_funding,
        {{ latest('card_country') }} as card_country,
        {{ latest('wallet') }} as wallet,
        {{ latest('risk_level') }} as risk_level,
        {{ latest('decline_reason', "lifecycle_state = 'failed'") }} as decline_reason,
        {{ latest('network_decline_code', "lifecycle_state = 'failed'") }} as network_decline_code,
        {{ latest('decline_class', "lifecycle_state = 'failed'") }} as decline_class,
        -- attempts: a failure is an event of the charge, of the payment, or of both. A provider may send two
        -- events for one failure, so the charges that failed are counted, or the moments without a charge.
        greatest(
            count(distinct object_id) filter (where event_type = 'charge.failed'),
            count(distinct coalesce(charge_id, cast(occurred_at as varchar))) filter (
                where event_type = 'payment.failed'
            )
        ) as failed_attempts,
        -- amounts
        max(currency_exponent) as currency_exponent,
        coalesce(
            {{ latest('amount_minor', "kind = 'payment'") }},
            {{ latest('amount_minor', "kind = 'charge'") }}
        ) as amount_minor,
        -- The approved amount only grows, by an incremental authorization. What is captured only grows too.
        greatest(
            coalesce(max(amount_authorized_minor), 0),
            coalesce(max({{ exact('amount_capturable_minor') }} + coalesce(amount_received_minor, 0)), 0),
            coalesce(max(amount_received_minor), 0)
        ) as authorized_minor,
        greatest(
            coalesce(max(amount_received_minor), 0),
            coalesce(max(amount_captured_minor) filter (where status = 'succeeded'), 0),
            -- A provider that does not say how much was captured: the whole amount.
            if(
                count_if(kind = 'charge' and status = 'succeeded' and amount_captured_minor is not null) = 0,
                coalesce(max(amount_minor) filter (where kind = 'charge' and status = 'succeeded'), 0),
                0
            )
        ) as captured_minor,
        -- the newest scores, up to the authorization; the newest retry strategy
        max_by(fraud_score, row(occurred_at, lifecycle_rank, event_id)) filter (
            where fraud_score is not null and (authorized_at is null or occurred_at <= authorized_at)
        ) as fraud_score,
        max_by(event_key, row(occurred_at, lifecycle_rank, event_id)) filter (
            where fraud_score is not null and (authorized_at is null or occurred_at <= authorized_at)
        ) as fraud_event_key,
        max_by(churn_score, row(occurred_at, lifecycle_rank, event_id)) filter (
            where churn_score is not null and (authorized_at is null or occurred_at <= authorized_at)
        ) as churn_score,
        max_by(retry_strategy, row(occurred_at, lifecycle_rank, event_id)) filter (
            where retry_strategy is not null
        ) as retry_strategy,
        -- timestamps
        min(occurred_at) filter (where kind in ('payment', 'charge')) as created_at,
        min(occurred_at) filter (where lifecycle_state = 'requires_action') as requires_action_at,
        min(authorized_at) as authorized_at,
        min(occurred_at) filter (where lifecycle_state = 'succeeded') as captured_at,
        min(occurred_at) filter (where is_failed_attempt) as first_failed_at,
        max(occurred_at) filter (where is_failed_attempt) as last_failed_at,
        min(occurred_at) filter (where lifecycle_state = 'canceled') as canceled_at,
        max(occurred_at) as last_event_at,
        max(ingested_at) as ingested_at,
        max(ingest_xid) as ingest_xid,
        count(*) as currency_events
    from decided
    group by payment_key, currency

),

-- A payment has one currency. If its events disagree, the event with the highest rank decides, and the
-- data test `payments_have_one_currency` reports the payment.
ranked as (

    select
        *,
        row_number() over (partition by payment_key order by recency desc) as preference,
        max(ingest_xid) over (partition by payment_key) as payment_ingest_xid,
        sum(currency_events) over (partition by payment_key) as events
    from payments

)

select
    payment_key,
    provider,
    payment_id,
    merchant_key,
    merchant_id,
    coalesce(customer_key, 'unknown') as customer_key,
    customer_id,
    invoice_id,
    coalesce(state, 'unknown') as state,
    is_live,
    capture_method,
    cancellation_reason,
    payment_method_type,
    card_brand,
    card_funding,
    card_country,
    wallet,
    risk_level,
    decline_reason,
    decline_class,
    network_decline_code,
    failed_attempts,
    failed_attempts + if(authorized_at is null, 0, 1) as attempts,
    currency,
    currency_exponent,
    amount_minor,
    authorized_minor,
    captured_minor,
    fraud_score,
    fraud_event_key,
    churn_score,
    retry_strategy,
    coalesce(created_at, last_event_at) as created_at,
    requires_action_at,
    authorized_at,
    captured_at,
    first_failed_at,
    last_failed_at,
    canceled_at,
    state_at,
    last_event_at,
    ingested_at,
    payment_ingest_xid as ingest_xid,
    events
from ranked
where preference = 1
