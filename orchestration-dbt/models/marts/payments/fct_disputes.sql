{#- A dispute's status can change after it was closed, so the newest event wins. Of the events of one second,
    the provider's previous values decide, and then this rank. -#}
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
        -- prevented dispute is settled before it opens. A status that this version does not know is counted.
        status in ('needs_response', 'under_review', 'won', 'lost', 'unknown') as is_charged_back,
        {{ is_superseded(['status']) }} as is_superseded
    from {{ ref('int_payment_events') }}
    where kind = 'dispute'

),

ranked as (

    select
        *,
        min(occurred_at) over (partition by provider, object_id) as opened_at,
        min(if(is_charged_back, occurred_at)) over (partition by provider, object_id) as charged_back_at,
        max(if(event_type = 'dispute.closed', occurred_at)) over (partition by provider, object_id) as closed_at,
        max(evidence_due_at) over (partition by provider, object_id) as last_evidence_due_at,
        {{ newest_first(['occurred_at', 'not is_superseded', rank]) }} as recency
    from events

),

states as (

    select
        *,
        case
            when status in ('won', 'inquiry_closed') then 'won'
            when status in ('lost', 'refunded') then 'lost'
            when status = 'prevented' then 'prevented'
            else 'open'
        end as outcome,
        coalesce(withdrawn_minor, 0) as taken_minor,
        coalesce(reinstated_minor, 0) as returned_minor
    from ranked
    where recency = 1

),

-- The amount that the merchant has lost: what the provider took, less what it gave back, without fees. If the
-- provider has not booked it yet, a chargeback takes the whole amount when it opens. A dispute that is won
-- gives the whole amount back, and the booking may follow.
lost as (

    select
        *,
        case
            when status = 'won' and returned_minor = 0 then 0
            when taken_minor > 0 and net_balance_currency = currency
                then greatest({{ exact('taken_minor') }} - returned_minor, 0)
            -- Booked in the settlement currency: the same share of the claimed amount is lost.
            when taken_minor > 0
                then round(
                    {{ exact('amount_minor') }} * greatest({{ exact('taken_minor') }} - returned_minor, 0)
                    / {{ exact('taken_minor') }}
                )
            when is_charged_back then amount_minor
            else 0
        end as disputed_minor
    from states

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
    {{ cents_to_dollars('disputed_minor', 'currency_exponent') }} as disputed_amount,
    charged_back_at is not null as is_chargeback,
    coalesce(reason, '') = 'fraudulent' as is_fraud,
    is_live,
    cast(opened_at as date) as opened_on,
    opened_at,
    charged_back_at,
    last_evidence_due_at as evidence_due_at,
    if(outcome <> 'open', closed_at) as closed_at,
    occurred_at as last_event_at
from lost
