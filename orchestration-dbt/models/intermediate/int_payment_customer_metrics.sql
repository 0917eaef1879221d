with

reputation as (

    select * from {{ ref('int_payment_reputation') }}
    where customer_key <> 'unknown'

),

events as (

    select
        *,
        {{ is_superseded(['status', 'is_delinquent', 'country']) }} as is_superseded
    from {{ ref('int_payment_events') }}
    where customer_key <> 'unknown'

),

profiles as (

    select
        *,
        -- Events of the same second form one moment. A "created" event is the oldest of them. An event whose
        -- values another one replaced comes before it.
        row(event_type not like '%created', not is_superseded, event_id) as recency
    from events
    where kind in ('customer', 'subscription')

),

-- The changes of the measures, and the moments of a customer's profile events and first event.
changes as (

    select
        customer_key,
        counts_from as happened_at,
        measure,
        1 as change
    from reputation
    union all
    select
        customer_key,
        counts_until as happened_at,
        measure,
        -1 as change
    from reputation
    where counts_until is not null
    union all
    select
        customer_key,
        occurred_at as happened_at,
        'said' as measure,
        0 as change
    from profiles
    union all
    select
        customer_key,
        min(occurred_at) as happened_at,
        'met' as measure,
        0 as change
    from events
    group by customer_key
    union all
    -- A payment's first event may not name the customer yet.
    select
        customer_key,
        min(created_at) as happened_at,
        'met' as measure,
        0 as change
    from {{ ref('fct_payments') }}
    where customer_key <> 'unknown'
    group by customer_key

),

totals as (

    {{ reputation_totals('changes', 'customer_key', 'happened_at') }}

),

said as (

    select
        customer_key,
        occurred_at as happened_at,
        -- The country of a tax id is the country of its registration.
        max_by(country, recency) filter (
            where event_type in ('customer.created', 'customer.updated') and country is not null
        ) as country,
        max_by(is_delinquent, recency) filter (where kind = 'customer' and is_delinquent is not null)
            as is_delinquent,
        bool_or(event_type = 'customer.deleted') as is_deleted,
        max_by(
            if(event_type = 'subscription.deleted', 'canceled', status),
            row(event_type = 'subscription.deleted', recency)
        ) filter (where kind = 'subscription') as subscription_status
    from profiles
    group by customer_key, occurred_at

)

select
    totals.*,
    last_value(said.country) ignore nulls over so_far as country,
    last_value(said.is_delinquent) ignore nulls over so_far as is_delinquent,
    coalesce(bool_or(said.is_deleted) over so_far, false) as is_deleted,
    last_value(said.subscription_status) ignore nulls over so_far as subscription_status
from totals
left join said
    on totals.customer_key = said.customer_key and totals.happened_at = said.happened_at
window so_far as (
    partition by totals.customer_key
    order by totals.happened_at
    rows between unbounded preceding and current row
)
