with

decisions as (

    select * from {{ ref('stg_payment_decisions') }}
    where kind = 'review'

),

charges as (

    select * from {{ ref('fct_payment_events') }}

),

-- The orchestrator records a review when it is opened and when it is answered. A payment can be reviewed
-- again after Temporal's retention of the first review: the newest record counts.
reviews as (

    select
        payment_key,
        max_by(event_key, row(decided_at, step)) as event_key,
        max_by(outcome, row(decided_at, step)) as outcome,
        max_by(is_by_person, row(decided_at, step)) as is_by_person,
        max_by(fraud_score, row(decided_at, step)) as fraud_score,
        max(decided_at) filter (where outcome <> 'pending') as decided_at
    from decisions
    group by payment_key

),

payments as (

    select * from {{ ref('fct_payments') }}

)

select
    -- ids
    reviews.payment_key,
    charges.customer_key,
    charges.merchant_key,
    charges.payment_id,
    charges.merchant_id,
    coalesce(payments.merchant_name, charges.merchant_id) as merchant_name,

    -- the review
    cast(if(reviews.outcome = 'pending', 'open', reviews.outcome) as varchar) as outcome,
    cast(
        case
            when reviews.outcome = 'pending' then 'waiting'
            when reviews.is_by_person then 'a person'
            else 'the timeout'
        end as varchar
    ) as answered_by,
    reviews.fraud_score,
    charges.currency,
    charges.amount,

    -- booleans
    charges.is_live,
    reviews.outcome = 'pending' as is_open,
    coalesce(payments.is_fraud_warned, false) or coalesce(payments.is_disputed, false) as is_reported,

    -- timestamps
    charges.ingested_at as sent_at,
    if(reviews.outcome <> 'pending', reviews.decided_at) as decided_at
from reviews
inner join charges on reviews.event_key = charges.event_key
left join payments on reviews.payment_key = payments.payment_key
