with

-- payment_pipeline.orchestrator.worker.follow_ups decides which event begins a recovery. Each failed event has its
-- own advice. A failure whose score is still missing says nothing yet.
failures as (

    select
        payment_key,
        event_id,
        occurred_at,
        retry_strategy,
        date_add('second', cast(retry_delay_s as bigint), occurred_at) as due_at
    from {{ ref('int_payment_events') }}
    where
        payment_key is not null
        and inference_status <> 'unavailable'
        and (event_type = 'payment.failed' or (event_type = 'charge.failed' and payment_id = object_id))

),

payments as (

    select * from {{ ref('fct_payments') }}

),

-- A payment that was paid sooner needed no recovery: a person at the checkout tried again.
unpaid as (

    select failures.*
    from failures
    inner join payments on failures.payment_key = payments.payment_key
    where
        payments.authorized_at is null
        or payments.authorized_at >= date_add('minute', {{ retry_wait_minutes() }}, failures.occurred_at)

),

begun as (

    select
        payment_key,
        min_by(retry_strategy, row(occurred_at, event_id)) filter (where due_at is not null) as first_strategy,
        min(occurred_at) filter (where due_at is not null) as started_at,
        -- Two events of one second report one failure.
        count(distinct occurred_at) filter (where due_at is not null) as advices,
        max_by(due_at, row(occurred_at, event_id)) filter (where due_at is not null) as due_at,
        max(occurred_at) filter (where due_at is not null) as last_advised_at,
        max(occurred_at) as last_failed_at
    from unpaid
    group by payment_key
    having count(due_at) > 0

),

-- The orchestrator's records. A payment can have a second recovery after Temporal's retention of the first: the
-- newest record counts.
records as (

    select
        payment_key,
        max_by(outcome, row(decided_at, step)) as outcome,
        max_by(due_at, row(decided_at, step)) as due_at,
        max(decided_at) as decided_at
    from {{ ref('stg_payment_decisions') }}
    where kind = 'recovery'
    group by payment_key

),

today as (

    {{ newest_times() }}

),

-- The outcome follows the times of the events, not the time at which the orchestrator looked at them: a payment of
-- last month that arrives today ended last month. A record counts while the events leave the end open.
followed as (

    select
        begun.*,
        payments.authorized_at,
        records.outcome as recorded_outcome,
        records.due_at as recorded_due_at,
        records.decided_at as recorded_at,
        date_add('minute', {{ recovery_patience_minutes() }}, begun.due_at) as given_up_at,
        today.last_event_at
    from begun
    inner join payments on begun.payment_key = payments.payment_key
    left join records on begun.payment_key = records.payment_key and begun.last_failed_at <= records.decided_at
    left join today on payments.is_live = today.is_live

),

recoveries as (

    select
        *,
        case
            when authorized_at is not null then 'recovered'
            when last_failed_at > last_advised_at then 'exhausted'
            when given_up_at <= last_event_at then 'not_retried'
            else coalesce(recorded_outcome, 'pending')
        end as outcome,
        case
            when authorized_at is not null then authorized_at
            when last_failed_at > last_advised_at then last_failed_at
            when given_up_at <= last_event_at then given_up_at
            else recorded_at
        end as ended_at
    from followed

)

select
    -- ids
    recoveries.payment_key,
    payments.customer_key,
    payments.merchant_key,
    payments.payment_id,
    payments.merchant_id,
    payments.merchant_name,

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
    if(recoveries.outcome = 'pending', coalesce(recoveries.recorded_due_at, recoveries.due_at)) as due_at,
    if(recoveries.outcome <> 'pending', recoveries.ended_at) as ended_at
from recoveries
inner join payments on recoveries.payment_key = payments.payment_key
