with

-- What the orchestrator sends to a person: see payment_pipeline.orchestrator.triage.
charges as (

    select * from {{ ref('fct_payment_events') }}
    where event_type = 'charge.succeeded' and payment_key is not null

),

answers as (

    select * from {{ ref('stg_payment_decisions') }}
    where kind = 'review'

),

sent as (

    select
        charges.payment_key,
        charges.customer_key,
        charges.merchant_key,
        charges.payment_id,
        charges.merchant_id,
        charges.currency,
        charges.amount,
        charges.is_live,
        coalesce(answers.fraud_score, charges.fraud_score) as fraud_score,
        coalesce(answers.outcome, 'open') as outcome,
        answers.is_by_person,
        charges.ingested_at as sent_at,
        answers.decided_at,
        row_number() over (
            partition by charges.payment_key
            order by answers.decided_at desc nulls last, charges.occurred_at asc, charges.event_id asc
        ) as preference
    from charges
    left join answers on charges.event_key = answers.event_key
    where
        charges.fraud_score >= {{ var('fraud_review_threshold') }}
        or answers.event_key is not null

),

payments as (

    select * from {{ ref('fct_payments') }}

)

select
    -- ids
    sent.payment_key,
    sent.customer_key,
    sent.merchant_key,
    sent.payment_id,
    sent.merchant_id,

    -- the review
    cast(sent.outcome as varchar) as outcome,
    cast(
        case
            when sent.outcome = 'open' then 'waiting'
            when sent.is_by_person then 'a person'
            else 'the timeout'
        end as varchar
    ) as answered_by,
    sent.fraud_score,
    sent.currency,
    sent.amount,

    -- booleans
    sent.is_live,
    sent.outcome = 'open' as is_open,
    coalesce(payments.is_fraud_warned, false) or coalesce(payments.is_disputed, false) as is_reported,

    -- timestamps
    sent.sent_at,
    sent.decided_at
from sent
left join payments on sent.payment_key = payments.payment_key
where sent.preference = 1
