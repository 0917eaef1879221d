{#- The status of a refund according to one event. Of several events, one with a final status wins. -#}
{%- set rank -%}
    case
        when event_type = 'refund.failed' or status in ('failed', 'canceled') then 3
        when event_type = 'refund.updated' then 2
        else 1
    end
{%- endset -%}

with

events as (

    select * from {{ ref('int_payment_events') }}
    where kind = 'refund'

),

charges as (

    select * from {{ ref('int_payment_events') }}
    where kind = 'charge'

),

payments as (

    select * from {{ ref('int_payment_current_state') }}

),

ranked as (

    select
        *,
        min(occurred_at) over (partition by provider, object_id) as requested_at,
        min(if(status in ('failed', 'canceled'), occurred_at))
            over (partition by provider, object_id) as failed_at,
        {{ newest_first(rank) }} as recency
    from events

),

itemized as (

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
        amount_minor,
        is_live,
        requested_at,
        failed_at,
        occurred_at as last_event_at
    from ranked
    where recency = 1

),

itemized_of_payment as (

    select
        payment_key,
        currency,
        sum(amount_minor) as amount_minor
    from itemized
    group by payment_key, currency

),

-- Up to API version 2024-10-28, Stripe reports most refunds only on the charge. Partly captured charges are
-- left out, because their refunded amount may include an amount that was never captured.
refunded_charges as (

    select
        payment_key,
        merchant_key,
        provider,
        object_id as charge_id,
        currency,
        currency_exponent,
        arbitrary(payment_id) as payment_id,
        arbitrary(merchant_id) as merchant_id,
        arbitrary(is_live) as is_live,
        max(amount_refunded_minor) as amount_minor,
        min(occurred_at) as requested_at,
        max(occurred_at) as last_event_at
    from charges
    where event_type = 'charge.refunded' and is_captured and amount_captured_minor = amount_minor
    group by payment_key, merchant_key, provider, object_id, currency, currency_exponent

),

rest as (

    select
        refunded_charges.*,
        refunded_charges.amount_minor - coalesce(itemized_of_payment.amount_minor, 0) as rest_minor
    from refunded_charges
    left join itemized_of_payment
        on
            refunded_charges.payment_key = itemized_of_payment.payment_key
            and refunded_charges.currency = itemized_of_payment.currency

),

refunds as (

    select * from itemized
    union all
    select
        {{ surrogate_key(['provider', 'charge_id', "'not itemized'"]) }} as refund_key,
        payment_key,
        merchant_key,
        provider,
        null as refund_id,
        payment_id,
        charge_id,
        merchant_id,
        'succeeded' as status,
        null as reason,
        null as failure_reason,
        currency,
        currency_exponent,
        rest_minor as amount_minor,
        is_live,
        requested_at,
        null as failed_at,
        last_event_at
    from rest
    where rest_minor > 0

),

judged as (

    select
        refunds.*,
        {{ cents_to_dollars('refunds.amount_minor', 'refunds.currency_exponent') }} as amount,
        -- A released authorization: nothing was captured, so nothing is refunded.
        coalesce(refunds.reason = 'expired_uncaptured_charge', false)
        or coalesce(payments.state = 'canceled' and payments.captured_minor = 0, false) as is_release,
        coalesce(refunds.status, '') in ('failed', 'canceled') as is_undone
    from refunds
    left join payments on refunds.payment_key = payments.payment_key

)

select
    refund_key,
    payment_key,
    merchant_key,
    provider,
    refund_id,
    payment_id,
    charge_id,
    merchant_id,
    status,
    reason,
    failure_reason,
    currency,
    currency_exponent,
    amount as requested_amount,
    if(is_undone or is_release, cast(0 as decimal(38, 4)), amount) as refunded_amount,
    not is_undone and not is_release as is_effective,
    is_release,
    refund_id is not null as is_itemized,
    is_live,
    cast(requested_at as date) as requested_on,
    requested_at,
    failed_at,
    last_event_at
from judged
