with

payments as (

    select * from {{ ref('fct_payments') }}
    where customer_key <> 'unknown'

),

refunds as (

    select * from {{ ref('fct_refunds') }}

),

disputes as (

    select * from {{ ref('fct_disputes') }}

),

profiles as (

    select * from {{ ref('int_payment_events') }}
    where kind in ('customer', 'subscription') and customer_key <> 'unknown'

),

-- Each line adds to a customer's counts at one moment, or says something of the customer.
happened as (

    select
        customer_key,
        captured_at as happened_at,
        1 as successes,
        0 as failures,
        0 as refunds,
        0 as reports
    from payments
    where captured_at is not null
    union all
    select
        customer_key,
        first_failed_at as happened_at,
        0 as successes,
        1 as failures,
        0 as refunds,
        0 as reports
    from payments
    where first_failed_at is not null and authorized_at is null
    union all
    select
        payments.customer_key,
        refunds.requested_at as happened_at,
        0 as successes,
        0 as failures,
        1 as refunds,
        0 as reports
    from refunds
    inner join payments on refunds.payment_key = payments.payment_key
    where refunds.is_effective
    union all
    select
        payments.customer_key,
        disputes.opened_at as happened_at,
        0 as successes,
        0 as failures,
        0 as refunds,
        1 as reports
    from disputes
    inner join payments on disputes.payment_key = payments.payment_key
    where disputes.is_chargeback
    union all
    select
        customer_key,
        fraud_warned_at as happened_at,
        0 as successes,
        0 as failures,
        0 as refunds,
        1 as reports
    from payments
    where fraud_warned_at is not null
    union all
    select
        customer_key,
        created_at as happened_at,
        0 as successes,
        0 as failures,
        0 as refunds,
        0 as reports
    from payments
    union all
    select
        customer_key,
        occurred_at as happened_at,
        0 as successes,
        0 as failures,
        0 as refunds,
        0 as reports
    from profiles

),

counts as (

    select
        customer_key,
        happened_at,
        sum(successes) as successes,
        sum(failures) as failures,
        sum(refunds) as refunds,
        sum(reports) as reports
    from happened
    group by customer_key, happened_at

),

said as (

    select
        customer_key,
        occurred_at as happened_at,
        max_by(country, event_id) filter (where kind = 'customer' and country is not null) as country,
        max_by(is_delinquent, event_id) filter (where kind = 'customer' and is_delinquent is not null)
            as is_delinquent,
        bool_or(event_type = 'customer.deleted') as is_deleted,
        max_by(
            if(event_type = 'subscription.deleted', 'canceled', status),
            row(event_type = 'subscription.deleted', event_type <> 'subscription.created', event_id)
        ) filter (where kind = 'subscription') as subscription_status
    from profiles
    group by customer_key, occurred_at

)

select
    counts.customer_key,
    counts.happened_at,
    sum(counts.successes) over so_far as successful_payments,
    sum(counts.failures) over so_far as failed_payments,
    sum(counts.refunds) over so_far as refunds,
    sum(counts.reports) over so_far as reports,
    last_value(said.country) ignore nulls over so_far as country,
    last_value(said.is_delinquent) ignore nulls over so_far as is_delinquent,
    coalesce(bool_or(said.is_deleted) over so_far, false) as is_deleted,
    last_value(said.subscription_status) ignore nulls over so_far as subscription_status
from counts
left join said
    on counts.customer_key = said.customer_key and counts.happened_at = said.happened_at
window so_far as (
    partition by counts.customer_key
    order by counts.happened_at
    rows between unbounded preceding and current row
)
