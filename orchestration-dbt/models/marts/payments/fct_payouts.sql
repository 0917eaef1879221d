{#- A payout can fail after it was paid, if the bank returns it. -#}
{%- set rank -%}
    case event_type
        when 'payout.failed' then 4
        when 'payout.canceled' then 4
        when 'payout.paid' then 3
        when 'payout.reconciliation_completed' then 3
        when 'payout.updated' then 2
        else 1
    end
{%- endset -%}

with

events as (

    select * from {{ ref('int_payment_events') }}
    where kind = 'payout'

),

ranked as (

    select
        *,
        min(occurred_at) over (partition by provider, object_id) as first_told_at,
        min(if(event_type = 'payout.paid', occurred_at)) over (partition by provider, object_id) as paid_at,
        min(if(event_type = 'payout.failed', occurred_at)) over (partition by provider, object_id) as failed_at,
        {{ newest_first([rank, 'occurred_at']) }} as recency
    from events

)

select
    {{ surrogate_key(['provider', 'object_id']) }} as payout_key,
    merchant_key,
    provider,
    object_id as payout_id,
    merchant_id,
    status,
    payout_method,
    failure_reason,
    currency,
    currency_exponent,
    amount as requested_amount,
    case when status = 'paid' then amount else cast(0 as decimal(38, 4)) end as paid_amount,
    is_automatic,
    is_live,
    cast(first_told_at as date) as requested_on,
    first_told_at as requested_at,
    arrival_at,
    paid_at,
    failed_at,
    occurred_at as last_event_at
from ranked
where recency = 1
