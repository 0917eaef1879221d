with

decisions as (

    select * from {{ ref('stg_payment_decisions') }}
    where kind = 'recovery'

),

recoveries as (

    select
        payment_key,
        min_by(strategy, row(decided_at, step)) as first_strategy,
        max_by(outcome, row(decided_at, step)) as outcome,
        max_by(due_at, row(decided_at, step)) as due_at,
        count_if(outcome = 'pending') as advices,
        min(decided_at) as started_at,
        max(decided_at) filter (where outcome <> 'pending') as ended_at
    from decisions
    group by payment_key

),

payments as (

    select * from {{ ref('fct_payments') }}

)

select
    -- ids
    recoveries.payment_key,
    payments.customer_key,
    payments.merchant_key,
    payments.payment_id,
    payments.merchant_id,

    -- the recovery
    coalesce(recoveries.first_strategy, 'none') as first_strategy,
    recoveries.outcome,
    payments.decline_reason,
    payments.decline_class,
    recoveries.advices,
    payments.currency,
    payments.amount,
    if(recoveries.outcome = 'recovered', payments.captured_amount, cast(0 as decimal(38, 4)))
        as recovered_amount,

    -- booleans
    payments.is_live,
    recoveries.ended_at is null as is_open,
    recoveries.outcome = 'recovered' as is_recovered,

    -- timestamps
    recoveries.started_at,
    if(recoveries.ended_at is null, recoveries.due_at) as due_at,
    recoveries.ended_at
from recoveries
inner join payments on recoveries.payment_key = payments.payment_key
