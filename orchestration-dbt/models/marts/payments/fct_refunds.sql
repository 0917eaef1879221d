with

events as (

    select * from {{ ref('int_payment_events') }}
    where kind = 'refund'

),

-- A refund's word is its status; of several events the one that can't be followed by another wins.
ranked as (

    select
        *,
        min(occurred_at) over (partition by provider, object_id) as requested_at,
        min(case when status in ('failed', 'canceled') then occurred_at end)
            over (partition by provider, object_id) as failed_at,
        row_number() over (
            partition by provider, object_id
            order by
                case
                    when event_type = 'refund.failed' or status in ('failed', 'canceled') then 3
                    when event_type = 'refund.updated' then 2
                    else 1
                end desc,
                occurred_at desc,
                event_id desc
        ) as recency
    from events

)

select
    {{ surrogate_key(['provider', 'object_id']) }} as refund_key,
    payment_key,
    merchant_key,
    provider,
    object_id as refund_id,
    payment_id,
    charge_id,
    merchant_id,
    status,
    reason,
    failure_reason,
    currency,
    currency_exponent,
    amount as requested_amount,
    -- What really went back: a refund that failed or was canceled gives nothing.
    case when coalesce(status, '') in ('failed', 'canceled') then cast(0 as decimal(38, 4)) else amount end
        as refunded_amount,
    coalesce(status, '') not in ('failed', 'canceled') as is_effective,
    is_live,
    cast(requested_at as date) as requested_on,
    requested_at,
    failed_at,
    occurred_at as last_event_at
from ranked
where recency = 1
