with

events as (

    select * from {{ ref('int_payment_events') }}
    where kind = 'dispute'

),

ranked as (

    select
        *,
        min(occurred_at) over (partition by provider, object_id) as opened_at,
        min(case when event_type = 'dispute.closed' then occurred_at end)
            over (partition by provider, object_id) as closed_at,
        max(evidence_due_at) over (partition by provider, object_id) as last_evidence_due_at,
        row_number() over (
            partition by provider, object_id
            order by
                case
                    when event_type in ('dispute.closed', 'dispute.funds_reinstated') then 3
                    when event_type in ('dispute.updated', 'dispute.funds_withdrawn') then 2
                    else 1
                end desc,
                occurred_at desc,
                event_id desc
        ) as recency
    from events

),

states as (

    select
        *,
        -- An inquiry only asks; no money moves, and no network counts it.
        status like 'warning%' as is_inquiry,
        case
            when status in ('won', 'warning_closed', 'prevented') then 'won'
            when status in ('lost', 'charge_refunded') then 'lost'
            else 'open'
        end as outcome
    from ranked
    where recency = 1

)

select
    {{ surrogate_key(['provider', 'object_id']) }} as dispute_key,
    payment_key,
    merchant_key,
    provider,
    object_id as dispute_id,
    payment_id,
    charge_id,
    merchant_id,
    status,
    cast(outcome as varchar) as outcome,
    reason,
    network_reason_code,
    currency,
    currency_exponent,
    amount as claimed_amount,
    -- What the merchant is without: withdrawn when a chargeback opens, given back when it is won.
    case when is_inquiry or outcome = 'won' then cast(0 as decimal(38, 4)) else amount end as disputed_amount,
    not is_inquiry as is_chargeback,
    coalesce(reason, '') = 'fraudulent' as is_fraud,
    is_live,
    cast(opened_at as date) as opened_on,
    opened_at,
    last_evidence_due_at as evidence_due_at,
    closed_at,
    occurred_at as last_event_at
from states
