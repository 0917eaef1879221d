{#- The monthly amount in the major unit of the currency. -#}
{%- set monthly_amount -%}
    {{ cents_to_dollars('monthly_amount_minor', 'currency_exponent') }}
{%- endset -%}

with

events as (

    select
        *,
        {{ is_superseded([
            'status', 'monthly_amount_minor', 'is_collection_paused', 'is_cancel_at_period_end'
        ]) }} as is_superseded
    from {{ ref('int_payment_events') }}
    where kind = 'subscription'

),

-- The state of a subscription after each moment. Events of the same second form one change.
ranked as (

    select
        *,
        row_number() over (
            partition by provider, object_id, occurred_at
            order by
                case event_type
                    when 'subscription.deleted' then 3
                    when 'subscription.created' then 1
                    else 2
                end desc,
                not is_superseded desc,
                current_period_start_at desc,
                event_id desc
        ) as recency
    from events

),

-- Tiered prices, prices chosen by the payer and unknown discounts have no amount in advance. The last known
-- amount still counts then, because the customer did not leave. An amount that was never known counts 0.
moments as (

    select
        *,
        last_value({{ monthly_amount }}) ignore nulls over (
            partition by provider, object_id, currency
            order by occurred_at
            rows between unbounded preceding and current row
        ) as monthly_amount
    from ranked
    where recency = 1

),

-- A subscription whose collection is paused bills nothing.
closed as (

    select
        *,
        if(
            event_type <> 'subscription.deleted'
            and status in ('active', 'past_due')
            and not coalesce(is_collection_paused, false)
            and monthly_amount is not null,
            monthly_amount,
            cast(0 as decimal(38, 4))
        ) as closing_mrr
    from moments

),

changes as (

    select
        *,
        lag(closing_mrr, 1, cast(0 as decimal(38, 4)))
            over (partition by provider, object_id, currency order by occurred_at) as opening_mrr,
        max(closing_mrr) over (
            partition by provider, object_id, currency
            order by occurred_at
            rows between unbounded preceding and 1 preceding
        ) as highest_mrr_before,
        lag(status) over (partition by provider, object_id, currency order by occurred_at) as status_before,
        lag(coalesce(is_collection_paused, false), 1, false) over (
            partition by provider, object_id, currency order by occurred_at
        ) as was_collection_paused
    from closed

)

select
    {{ surrogate_key(['provider', 'object_id', 'occurred_at']) }} as movement_key,
    merchant_key,
    customer_key,
    provider,
    object_id as subscription_id,
    merchant_id,
    customer_id,
    event_id,
    status,
    status_before,
    cast(
        case
            when closing_mrr = opening_mrr then 'none'
            when closing_mrr = 0 then 'churn'
            when opening_mrr = 0 and coalesce(highest_mrr_before, 0) > 0 then 'reactivation'
            when opening_mrr = 0 then 'new'
            when closing_mrr > opening_mrr then 'expansion'
            else 'contraction'
        end as varchar
    ) as movement,
    cancellation_reason,
    billing_interval,
    quantity,
    currency,
    currency_exponent,
    amount as period_amount,
    opening_mrr,
    cast(closing_mrr - opening_mrr as decimal(38, 4)) as movement_mrr,
    closing_mrr,
    coalesce(has_unknown_amount, false) as has_unknown_amount,
    coalesce(is_collection_paused, false) as is_collection_paused,
    coalesce(is_cancel_at_period_end, false) as is_cancel_at_period_end,
    is_live,
    cast(occurred_at as date) as moved_on,
    occurred_at as moved_at,
    current_period_end_at,
    trial_end_at
from changes
where
    status_before is null
    or status_before <> status
    or closing_mrr <> opening_mrr
    or coalesce(is_collection_paused, false) <> was_collection_paused
