with

-- payment_pipeline.orchestrator.worker.follow_ups decides which event begins a recovery. The row of the failed
-- event has the first advice. The orchestrator records later advice and the outcome.
failures as (

    select * from {{ ref('int_payment_events') }}
    where
        retry_delay_s is not null
        and payment_key is not null
        and (event_type = 'payment.failed' or (event_type = 'charge.failed' and payment_id = object_id))

),

begun as (

    select
        payment_key,
        min_by(retry_strategy, row(occurred_at, event_id)) as first_strategy,
        min(occurred_at) as started_at,
        max_by(date_add('second', cast(retry_delay_s as bigint), occurred_at), row(occurred_at, event_id)) as due_at
    from failures
    group by payment_key

),

-- A payment can have a second recovery after Temporal's retention of the first: the newest record counts.
decisions as (

    select
        payment_key,
        max_by(outcome, row(decided_at, step)) as outcome,
        count_if(outcome = 'pending') as later_advices,
        max_by(due_at, row(decided_at, step)) as due_at,
        max(decided_at) filter (where outcome <> 'pending') as ended_at
    from {{ ref('stg_payment_decisions') }}
    where kind = 'recovery'
    group by payment_key

),

recoveries as (

    select
        begun.payment_key,
        begun.first_strategy,
        begun.started_at,
        decisions.ended_at,
        decisions.payment_key is not null as is_recorded,
        coalesce(decisions.outcome, 'pending') as outcome,
        1 + coalesce(decisions.later_advices, 0) as advices,
        coalesce(decisions.due_at, begun.due_at) as due_at
    from begun
    left join decisions on begun.payment_key = decisions.payment_key

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
    recoveries.first_strategy,
    cast(recoveries.outcome as varchar) as outcome,
    payments.decline_reason,
    payments.decline_class,
    recoveries.advices,
    payments.currency,
    payments.amount,
    if(recoveries.outcome = 'recovered', payments.captured_amount, cast(0 as decimal(38, 4)))
        as recovered_amount,

    -- booleans
    payments.is_live,
    recoveries.outcome = 'pending' as is_open,
    recoveries.outcome = 'recovered' as is_recovered,

    -- timestamps
    recoveries.started_at,
    if(recoveries.outcome = 'pending', recoveries.due_at) as due_at,
    if(recoveries.outcome <> 'pending', recoveries.ended_at) as ended_at
from recoveries
inner join payments on recoveries.payment_key = payments.payment_key
-- An authorized payment without a recorded recovery is left out: it needed no recovery, or the orchestrator
-- will record the outcome later.
where recoveries.is_recorded or payments.authorized_at is null
