{%- set is_undone = "(event_type = 'refund.failed' or status in ('failed', 'canceled'))" -%}
{#- The status of a refund according to one event. Of several events, one with a final status wins. -#}
{%- set rank -%}
    case
        when {{ is_undone }} then 3
        when event_type = 'refund.updated' then 2
        else 1
    end
{%- endset -%}

with

events as (

    select
        *,
        {{ is_superseded(['amount_refunded_minor']) }} as is_superseded
    from {{ ref('int_payment_events') }}
    where kind in ('refund', 'charge')

),

payments as (

    select * from {{ ref('int_payment_current_state') }}

),

ranked as (

    select
        *,
        min(least(coalesce(requested_at, occurred_at), occurred_at))
            over (partition by provider, object_id) as first_requested_at,
        min(occurred_at) over (partition by provider, object_id) as first_told_at,
        min(if(status in ('failed', 'canceled'), occurred_at))
            over (partition by provider, object_id) as failed_at,
        {{ newest_first([rank, 'occurred_at']) }} as recency
    from events
    where kind = 'refund'

),

itemized as (

    select
        *,
        {{ is_undone }} as is_undone
    from ranked
    where recency = 1

),

charges as (

    select
        *,
        max(amount_captured_minor) over (partition by provider, object_id, currency) as charge_captured_minor,
        max(amount_authorized_minor) over (partition by provider, object_id, currency) as charge_authorized_minor
    from events
    where kind = 'charge'

),

-- What each event of a charge says was refunded so far. An event that does not say what was captured may
-- include the released part of the authorization; another event of the charge says how much that is.
totals as (

    select
        *,
        if(
            amount_captured_minor is null,
            greatest(
                {{ exact('amount_refunded_minor') }}
                - ({{ exact('amount_minor') }} - coalesce(charge_captured_minor, amount_minor)),
                0
            ),
            amount_refunded_minor
        ) as refunded_minor
    from charges
    where amount_refunded_minor is not null

),

charge_totals as (

    select
        provider,
        payment_key,
        merchant_key,
        object_id as charge_id,
        currency,
        currency_exponent,
        arbitrary(payment_id) as payment_id,
        arbitrary(merchant_id) as merchant_id,
        arbitrary(is_live) as is_live,
        -- The newest total counts, because a refund that fails reduces it.
        max_by(refunded_minor, row(occurred_at, not is_superseded, refunded_minor)) as refunded_minor,
        max(occurred_at) as told_at,
        min(occurred_at) filter (where refunded_minor > 0) as requested_at,
        max(occurred_at) filter (where refunded_minor > 0) as last_event_at,
        if(
            max(charge_captured_minor) > 0,
            {{ exact('max(charge_authorized_minor)') }} - max(charge_captured_minor),
            0
        ) as released_minor
    from totals
    group by provider, payment_key, merchant_key, object_id, currency, currency_exponent

),

totals_of_payment as (

    select
        payment_key,
        currency,
        sum({{ exact('refunded_minor') }}) as refunded_minor,
        max(told_at) as told_at,
        sum(released_minor) as released_minor
    from charge_totals
    group by payment_key, currency

),

-- Whether the charge's total includes the refund. It doesn't if the refund failed before the time of the
-- total. A refund of unknown status is not counted here: its amount stays in the charge's total.
compared as (

    select
        itemized.*,
        totals_of_payment.refunded_minor as total_minor,
        coalesce(totals_of_payment.released_minor, 0) as released_minor,
        coalesce(
            itemized.first_requested_at <= totals_of_payment.told_at
            and (itemized.failed_at is null or itemized.failed_at > totals_of_payment.told_at)
            and itemized.status <> 'unknown',
            false
        ) as is_in_total
    from itemized
    left join totals_of_payment
        on
            itemized.payment_key = totals_of_payment.payment_key
            and itemized.currency = totals_of_payment.currency

),

excess as (

    select
        *,
        sum(if(is_in_total, {{ exact('amount_minor') }}, 0)) over (partition by payment_key, currency)
        - total_minor as excess_minor,
        row_number() over (
            partition by payment_key, currency, amount_minor, is_in_total
            order by first_told_at, object_id
        ) as release_rank
    from compared

),

-- A released authorization is no refund, but Stripe before 2025-03-31 sent a Refund object for it. Such an
-- object has the released amount and is the first one of that amount. It is a release in two cases: all
-- Refund objects together exceed the charge's total, or it alone does, and the charge's total is of a refund
-- without a Refund object.
judged as (

    select
        excess.*,
        coalesce(excess.reason = 'authorization_expired', false)
        or coalesce(payments.state in ('authorized', 'canceled') and payments.captured_minor = 0, false)
        or coalesce(
            excess.is_in_total
            and excess.release_rank = 1
            and excess.released_minor > 0
            and excess.amount_minor = excess.released_minor
            and (excess.excess_minor >= excess.released_minor or excess.amount_minor > excess.total_minor),
            false
        ) as is_release
    from excess
    left join payments on excess.payment_key = payments.payment_key

),

itemized_of_payment as (

    select
        payment_key,
        currency,
        sum({{ exact('amount_minor') }}) as amount_minor
    from judged
    where is_in_total and not is_release
    group by payment_key, currency

),

-- Up to API version 2024-10-28, Stripe reports most refunds only on the charge.
rest as (

    select
        charge_totals.*,
        {{ exact('charge_totals.refunded_minor') }} - coalesce(itemized_of_payment.amount_minor, 0) as rest_minor
    from charge_totals
    left join itemized_of_payment
        on
            charge_totals.payment_key = itemized_of_payment.payment_key
            and charge_totals.currency = itemized_of_payment.currency

),

refunds as (

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
        {{ exact('amount_minor') }} as amount_minor,
        is_live,
        first_told_at as requested_at,
        failed_at,
        occurred_at as last_event_at,
        is_release,
        not is_undone and not is_release and status in ('pending', 'requires_action', 'succeeded') as is_effective
    from judged
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
        last_event_at,
        false as is_release,
        true as is_effective
    from rest
    where rest_minor > 0

),

valued as (

    select
        *,
        {{ cents_to_dollars('amount_minor', 'currency_exponent') }} as amount
    from refunds

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
    if(is_effective, amount, cast(0 as decimal(38, 4))) as refunded_amount,
    is_effective,
    is_release,
    refund_id is not null as is_itemized,
    is_live,
    cast(requested_at as date) as requested_on,
    requested_at,
    failed_at,
    last_event_at
from valued
