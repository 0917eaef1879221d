{%- set rank -%}
    case
        when event_type in ('dispute.closed', 'dispute.funds_reinstated') then 3
        when event_type in ('dispute.updated', 'dispute.funds_withdrawn') then 2
        else 1
    end
{%- endset -%}

with

events as (

    select
        *,
        -- Card networks count neither inquiries nor prevented disputes. An inquiry only asks for information; a
        -- prevented dispute is settled before it opens.
        coalesce(status, '') not like 'warning%'
        and coalesce(status, '') not in ('prevented', 'charge_refunded') as is_charged_back
    from {{ ref('int_payment_events') }}
    where kind = 'dispute'

),

ranked as (

    select
        *,
        min(occurred_at) over (partition by provider, object_id) as opened_at,
        min(if(is_charged_back, occurred_at)) over (partition by provider, object_id) as charged_back_at,
        min(if(event_type = 'dispute.closed', occurred_at)) over (partition by provider, object_id) as closed_at,
        max(evidence_due_at) over (partition by provider, object_id) as last_evidence_due_at,
        {{ newest_first(rank) }} as recency
    from events

),

states as (

    select
        *,
        case
            when status in ('won', 'warning_closed') then 'won'
            when status in ('lost', 'charge_refunded') then 'lost'
            when status = 'prevented' then 'prevented'
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
    -- The amount that the merchant has lost. A chargeback takes the amount when it opens and returns the
    -- amount when it is won. For other disputes, the balance transactions show whether the amount was taken.
    case
        when outcome = 'won' then cast(0 as decimal(38, 4))
        when is_charged_back or coalesce(net_balance_minor, 0) < 0 then amount
        else cast(0 as decimal(38, 4))
    end as disputed_amount,
    charged_back_at is not null as is_chargeback,
    coalesce(reason, '') = 'fraudulent' as is_fraud,
    is_live,
    cast(opened_at as date) as opened_on,
    opened_at,
    charged_back_at,
    last_evidence_due_at as evidence_due_at,
    closed_at,
    occurred_at as last_event_at
from states
