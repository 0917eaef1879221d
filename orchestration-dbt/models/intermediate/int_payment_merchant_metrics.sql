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

dates as (

    select * from {{ ref('dim_date') }}

),

happened as (

    select
        merchant_key,
        cast(captured_at as date) as happened_on,
        1 as successes,
        0 as failures,
        0 as refunds,
        0 as reports
    from payments
    where captured_at is not null
    union all
    select
        merchant_key,
        cast(first_failed_at as date) as happened_on,
        0 as successes,
        1 as failures,
        0 as refunds,
        0 as reports
    from payments
    where first_failed_at is not null and authorized_at is null
    union all
    select
        merchant_key,
        requested_on as happened_on,
        0 as successes,
        0 as failures,
        1 as refunds,
        0 as reports
    from refunds
    where is_effective
    union all
    select
        merchant_key,
        opened_on as happened_on,
        0 as successes,
        0 as failures,
        0 as refunds,
        1 as reports
    from disputes
    where is_chargeback
    union all
    select
        merchant_key,
        cast(fraud_warned_at as date) as happened_on,
        0 as successes,
        0 as failures,
        0 as refunds,
        1 as reports
    from payments
    where fraud_warned_at is not null
    union all
    select
        merchant_key,
        created_on as happened_on,
        0 as successes,
        0 as failures,
        0 as refunds,
        0 as reports
    from payments

),

counts as (

    select
        merchant_key,
        happened_on,
        sum(successes) as successes,
        sum(failures) as failures,
        sum(refunds) as refunds,
        sum(reports) as reports
    from happened
    group by merchant_key, happened_on

),

firsts as (

    select
        merchant_key,
        min(happened_on) as first_on
    from counts
    group by merchant_key

),

lasts as (

    select max(happened_on) as last_on
    from counts

),

-- The window moves on quiet days too, so every merchant has every day from its first on.
days as (

    select
        firsts.merchant_key,
        dates.date_day as happened_on
    from firsts
    cross join lasts
    inner join dates on dates.date_day between firsts.first_on and lasts.last_on

)

select
    days.merchant_key,
    days.happened_on,
    coalesce(sum(counts.successes) over thirty_days, 0) as successful_payments,
    coalesce(sum(counts.failures) over thirty_days, 0) as failed_payments,
    coalesce(sum(counts.refunds) over thirty_days, 0) as refunds,
    coalesce(sum(counts.reports) over thirty_days, 0) as reports
from days
left join counts
    on days.merchant_key = counts.merchant_key and days.happened_on = counts.happened_on
window thirty_days as (
    partition by days.merchant_key
    order by days.happened_on
    rows between 29 preceding and current row
)
