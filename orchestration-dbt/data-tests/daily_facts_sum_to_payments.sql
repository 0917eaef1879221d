{{ config(meta={'dagster': {'ref': {'name': 'fct_daily_payments'}}}) }}
-- The daily facts, the refunds and the disputes each sum to the payments, by currency. A payment known only
-- from refunds or disputes belongs to no day.
with

payments as (

    select
        currency,
        count_if(state <> 'unknown') as payments,
        coalesce(sum(captured_amount) filter (where state <> 'unknown'), 0) as captured_amount,
        coalesce(sum(refunded_amount) filter (where state <> 'unknown'), 0) as days_refunded_amount,
        coalesce(sum(disputed_amount) filter (where state <> 'unknown'), 0) as days_disputed_amount,
        coalesce(sum(net_amount) filter (where state <> 'unknown'), 0) as net_amount,
        sum(refunded_amount) as refunded_amount,
        sum(disputed_amount) as disputed_amount
    from {{ ref('fct_payments') }}
    group by currency

),

days as (

    select
        currency,
        sum(created_payments) as payments,
        sum(captured_amount) as captured_amount,
        sum(refunded_amount) as refunded_amount,
        sum(disputed_amount) as disputed_amount,
        sum(net_amount) as net_amount
    from {{ ref('fct_daily_payments') }}
    group by currency

),

-- An amount in another currency than its payment's stays in its own currency.
refunds as (

    select
        refunds.currency,
        sum(refunds.refunded_amount) as refunded_amount
    from {{ ref('fct_refunds') }} as refunds
    inner join {{ ref('fct_payments') }} as paid
        on refunds.payment_key = paid.payment_key and refunds.currency = paid.currency
    group by refunds.currency

),

disputes as (

    select
        disputes.currency,
        sum(disputes.disputed_amount) as disputed_amount
    from {{ ref('fct_disputes') }} as disputes
    inner join {{ ref('fct_payments') }} as paid
        on disputes.payment_key = paid.payment_key and disputes.currency = paid.currency
    group by disputes.currency

)

select payments.*
from payments
left join days on payments.currency = days.currency
left join refunds on payments.currency = refunds.currency
left join disputes on payments.currency = disputes.currency
where
    payments.payments <> coalesce(days.payments, 0)
    or payments.captured_amount <> coalesce(days.captured_amount, 0)
    or payments.days_refunded_amount <> coalesce(days.refunded_amount, 0)
    or payments.days_disputed_amount <> coalesce(days.disputed_amount, 0)
    or payments.net_amount <> coalesce(days.net_amount, 0)
    or payments.refunded_amount <> coalesce(refunds.refunded_amount, 0)
    or payments.disputed_amount <> coalesce(disputes.disputed_amount, 0)
