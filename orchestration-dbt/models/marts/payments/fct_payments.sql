with

payments as (

    select * from {{ ref('int_payment_current_state') }}

),

refunds as (

    select
        payment_key,
        currency,
        sum(refunded_amount) as refunded_amount,
        min(requested_at) filter (where is_effective) as first_refunded_at
    from {{ ref('fct_refunds') }}
    group by payment_key, currency

),

disputes as (

    select
        payment_key,
        currency,
        sum(disputed_amount) as disputed_amount
    from {{ ref('fct_disputes') }}
    group by payment_key, currency

),

-- A payment is disputed in whatever currency the dispute is. An amount in another currency is not taken off.
first_disputes as (

    select
        payment_key,
        min(charged_back_at) as first_disputed_at
    from {{ ref('fct_disputes') }}
    group by payment_key

),

fraud_warnings as (

    select
        payment_key,
        min(occurred_at) as fraud_warned_at
    from {{ ref('int_payment_events') }}
    where kind = 'fraud_warning'
    group by payment_key

),

valued as (

    select
        payments.*,
        {{ cents_to_dollars('payments.amount_minor', 'payments.currency_exponent') }} as amount,
        {{ cents_to_dollars('payments.authorized_minor', 'payments.currency_exponent') }} as authorized_amount,
        {{ cents_to_dollars('payments.captured_minor', 'payments.currency_exponent') }} as captured_amount,
        coalesce(refunds.refunded_amount, cast(0 as decimal(38, 4))) as refunded_amount,
        coalesce(disputes.disputed_amount, cast(0 as decimal(38, 4))) as disputed_amount,
        refunds.first_refunded_at,
        first_disputes.first_disputed_at,
        fraud_warnings.fraud_warned_at,
        {{ merchant_name('payments.provider', 'payments.merchant_id', 'merchant_names.name') }} as merchant_name
    from payments
    left join {{ ref('merchant_names') }} as merchant_names
        on payments.provider = merchant_names.provider and payments.merchant_id = merchant_names.merchant_id
    left join refunds
        on payments.payment_key = refunds.payment_key and payments.currency = refunds.currency
    left join disputes
        on payments.payment_key = disputes.payment_key and payments.currency = disputes.currency
    left join first_disputes
        on payments.payment_key = first_disputes.payment_key
    left join fraud_warnings
        on payments.payment_key = fraud_warnings.payment_key

)

select
    -- ids
    payment_key,
    customer_key,
    merchant_key,
    provider,
    payment_id,
    customer_id,
    merchant_id,
    invoice_id,

    -- attributes
    merchant_name,
    cast(state as varchar) as state,
    capture_method,
    cancellation_reason,
    decline_reason,
    network_decline_code,
    decline_class,
    payment_method_type,
    card_brand,
    card_funding,
    card_country,
    wallet,
    risk_level,

    -- numerics
    currency,
    currency_exponent,
    amount,
    authorized_amount,
    captured_amount,
    refunded_amount,
    disputed_amount,
    cast(captured_amount - refunded_amount - disputed_amount as decimal(38, 4)) as net_amount,
    attempts,
    failed_attempts,
    fraud_score,
    churn_score,
    retry_strategy,

    -- booleans
    is_live,
    attempts > 0 as is_attempted,
    authorized_at is not null as is_authorized,
    captured_amount > 0 as is_captured,
    refunded_amount > 0 as is_refunded,
    first_disputed_at is not null as is_disputed,
    fraud_warned_at is not null as is_fraud_warned,
    coalesce(failed_attempts > 0 and authorized_at >= first_failed_at, false) as is_recovered,

    -- timestamps
    cast(created_at as date) as created_on,
    created_at,
    requires_action_at,
    first_failed_at,
    last_failed_at,
    authorized_at,
    captured_at,
    canceled_at,
    first_refunded_at,
    first_disputed_at,
    fraud_warned_at,
    state_at,
    last_event_at,
    ingested_at
from valued
