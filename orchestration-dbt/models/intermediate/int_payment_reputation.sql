with

payments as (

    select * from {{ ref('fct_payments') }}

),

refunds as (

    select * from {{ ref('fct_refunds') }}

),

disputes as (

    select * from {{ ref('fct_disputes') }}

),

-- Reputation contains only facts known at the moment. So a failed payment counts until it is authorized,
-- and a refund counts until it fails.
counted as (

    select
        'successful_payments' as measure,
        customer_key,
        merchant_key,
        is_live,
        captured_at as counts_from,
        cast(null as timestamp(6) with time zone) as counts_until
    from payments
    where captured_at is not null
    union all
    select
        'failed_payments' as measure,
        customer_key,
        merchant_key,
        is_live,
        first_failed_at as counts_from,
        authorized_at as counts_until
    from payments
    where first_failed_at is not null and (authorized_at is null or authorized_at >= first_failed_at)
    union all
    select
        'refunds' as measure,
        payments.customer_key,
        refunds.merchant_key,
        refunds.is_live,
        refunds.requested_at as counts_from,
        if(refunds.is_effective, null, refunds.failed_at) as counts_until
    from refunds
    left join payments on refunds.payment_key = payments.payment_key
    where not refunds.is_release
    union all
    select
        'reports' as measure,
        payments.customer_key,
        disputes.merchant_key,
        disputes.is_live,
        disputes.charged_back_at as counts_from,
        null as counts_until
    from disputes
    left join payments on disputes.payment_key = payments.payment_key
    where disputes.is_chargeback
    union all
    select
        'reports' as measure,
        customer_key,
        merchant_key,
        is_live,
        fraud_warned_at as counts_from,
        null as counts_until
    from payments
    where fraud_warned_at is not null

)

select
    measure,
    coalesce(customer_key, 'unknown') as customer_key,
    merchant_key,
    is_live,
    cast(counts_from as timestamp(6) with time zone) as counts_from,
    cast(counts_until as timestamp(6) with time zone) as counts_until
from counted
