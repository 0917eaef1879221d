with

scored as (

    select * from {{ ref('int_payment_events') }}
    where inference_status = 'scored'

),

payments as (

    select * from {{ ref('fct_payments') }}

),

decisive as (

    select
        payment_key,
        fraud_event_key
    from {{ ref('int_payment_current_state') }}

),

fraud_disputes as (

    select
        payment_key,
        min(opened_at) as opened_at
    from {{ ref('fct_disputes') }}
    where is_fraud
    group by payment_key

),

failures as (

    select
        payment_key,
        array_agg(occurred_at) as failed_at
    from {{ ref('int_payment_events') }}
    where event_type in ('charge.failed', 'payment.failed') and payment_key is not null
    group by payment_key

),

churns as (

    select
        customer_key,
        array_agg(occurred_at) as ended_at
    from {{ ref('int_payment_events') }}
    where event_type = 'subscription.deleted' and customer_key <> 'unknown'
    group by customer_key

),

people as (

    select
        payment_key,
        max_by(outcome, decided_at) filter (where kind = 'review' and outcome <> 'pending') as review_outcome,
        max(decided_at) filter (where kind = 'review' and outcome <> 'pending') as reviewed_at,
        max_by(outcome, row(decided_at, step)) filter (where kind = 'recovery') as recovery_outcome
    from {{ ref('stg_payment_decisions') }}
    group by payment_key

),

today as (

    {{ newest_times() }}

),

answers as (

    select
        scored.event_key,
        scored.payment_key,
        scored.customer_key,
        scored.merchant_key,
        scored.event_type,
        scored.currency,
        scored.amount,
        scored.is_live,
        scored.occurred_at as decided_at,
        answer.output,
        answer.given.value as answer,
        answer.given.model,
        answer.given.version as model_version,
        date_add('day', {{ maturity_days('answer.output') }}, scored.occurred_at) as matures_at,
        date_add('minute', {{ retry_wait_minutes() }}, scored.occurred_at) as retried_from
    from scored
    cross join unnest(scored.answers) as answer (output, given)

),

-- The outcome of the decision, by the label that the model was trained on. For a retry, it is the success of
-- the next attempt only: each later failure has a separate answer. The card of the attempt is not known here,
-- so a success on another card counts too.
followed as (

    select
        answers.*,
        payments.fraud_warned_at,
        fraud_disputes.opened_at as fraud_disputed_at,
        decisive.fraud_event_key,
        people.review_outcome,
        people.reviewed_at,
        people.recovery_outcome,
        today.last_event_at,
        case answers.output
            when 'fraud_score'
                then least(
                    coalesce(payments.fraud_warned_at, fraud_disputes.opened_at),
                    coalesce(fraud_disputes.opened_at, payments.fraud_warned_at)
                )
            when 'churn_score' then array_min(filter(churns.ended_at, at -> at > answers.decided_at))
            when 'retry_strategy'
                then if(
                    payments.authorized_at >= answers.retried_from
                    and coalesce(
                        none_match(
                            failures.failed_at,
                            at -> at >= answers.retried_from and at < payments.authorized_at
                        ),
                        true
                    ),
                    payments.authorized_at
                )
        end as followed_at,
        -- False if the label does not apply: the answer has no payment or customer, or the payment was
        -- authorized before it could be retried.
        case answers.output
            when 'fraud_score' then answers.payment_key is not null
            when 'churn_score' then answers.customer_key <> 'unknown'
            when 'retry_strategy'
                then answers.payment_key is not null and coalesce(payments.authorized_at >= answers.retried_from, true)
            else false
        end as is_judged
    from answers
    left join payments on answers.payment_key = payments.payment_key
    left join decisive on answers.payment_key = decisive.payment_key
    left join failures on answers.payment_key = failures.payment_key
    left join fraud_disputes on answers.payment_key = fraud_disputes.payment_key
    left join churns on answers.customer_key = churns.customer_key
    left join people on answers.payment_key = people.payment_key
    left join today on answers.is_live = today.is_live

),

judged as (

    select
        *,
        coalesce(followed_at <= matures_at, false) as is_positive
    from followed

)

select
    -- ids
    {{ surrogate_key(['event_key', 'output']) }} as decision_key,
    event_key,
    payment_key,
    customer_key,
    merchant_key,

    -- the decision
    event_type,
    output,
    model,
    model_version,
    answer,
    try_cast(answer as double) as score,
    currency,
    amount,
    output <> 'fraud_score' or event_key = coalesce(fraud_event_key, '') as is_decisive,
    is_live,

    -- the outcome
    cast(
        case
            when not is_judged then null
            when is_positive and output = 'fraud_score' then 'fraud'
            when is_positive and output = 'churn_score' then 'churned'
            when is_positive then 'recovered'
            when matures_at > last_event_at then 'pending'
            when output = 'fraud_score' then 'honest'
            when output = 'churn_score' then 'stayed'
            else 'not_recovered'
        end as varchar
    ) as outcome,
    is_positive,
    is_judged and matures_at <= last_event_at as is_mature,
    output = 'fraud_score' and fraud_warned_at is not null as is_fraud_warned,
    output = 'fraud_score' and fraud_disputed_at is not null as is_fraud_disputed,
    if(output = 'fraud_score', review_outcome) as review_outcome,
    if(output = 'retry_strategy', recovery_outcome) as recovery_outcome,

    -- timestamps
    cast(decided_at as date) as decided_on,
    decided_at,
    cast(matures_at as timestamp(6) with time zone) as matures_at,
    cast(if(is_positive, followed_at) as timestamp(6) with time zone) as outcome_at,
    cast(if(output = 'fraud_score', reviewed_at) as timestamp(6) with time zone) as reviewed_at
from judged
