with

decisions as (

    select * from {{ source('data', 'payment_decisions') }}

)

select
    {{ surrogate_key(['workflow_id', 'step', 'decided_at']) }} as decision_key,
    {{ surrogate_key(['provider', 'payment_id']) }} as payment_key,
    {{ surrogate_key(['provider', 'event_id']) }} as event_key,
    workflow_id,
    step,
    kind,
    -- The column is_by_person tells whether a person or the timeout decided.
    regexp_replace(outcome, '_by_timeout$') as outcome,
    strategy,
    attempts_left,
    fraud_score,
    decided_by is not null as is_by_person,
    decided_at,
    due_at,
    ingested_at
from decisions
