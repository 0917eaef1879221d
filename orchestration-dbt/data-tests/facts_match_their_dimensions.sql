{{ config(meta={'dagster': {'ref': {'name': 'fct_payments'}}}) }}
-- Each fact matches exactly one version of its customer and of its merchant at the time of the fact.
with

moments as (

    select
        payment_key as fact_key,
        customer_key,
        merchant_key,
        created_at as happened_at
    from {{ ref('fct_payments') }}
    union all
    select
        movement_key as fact_key,
        customer_key,
        merchant_key,
        moved_at as happened_at
    from {{ ref('fct_subscriptions') }}
    union all
    select
        event_key as fact_key,
        customer_key,
        merchant_key,
        occurred_at as happened_at
    from {{ ref('fct_payment_events') }}

),

customers as (

    select
        moments.fact_key,
        count(members.customer_key) as versions
    from moments
    left join {{ ref('dim_customer') }} as members
        on
            moments.customer_key = members.customer_key
            and moments.happened_at >= members.valid_from
            and moments.happened_at < members.valid_to
    group by moments.fact_key

),

merchants as (

    select
        moments.fact_key,
        count(members.merchant_key) as versions
    from moments
    left join {{ ref('dim_merchant') }} as members
        on
            moments.merchant_key = members.merchant_key
            and moments.happened_at >= members.valid_from
            and moments.happened_at < members.valid_to
    group by moments.fact_key

)

select
    fact_key,
    'customer' as member,
    versions
from customers
where versions <> 1
union all
select
    fact_key,
    'merchant' as member,
    versions
from merchants
where versions <> 1
