-- Runs after the facts, so that it does not delay them.
-- depends_on: {{ ref('fct_payments') }}
with

-- The loader may be ahead of the facts, so the comparison ends at the facts' last transaction.
lake as (

    select
        event_key,
        currency,
        arbitrary(received_at) as received_at,
        sum({{ exact('amount_minor') }}) as amount_minor,
        min(body_sha256) as body_sha256,
        sum(count(*)) over (partition by event_key) as copies
    from {{ ref('stg_payment_events') }}
    where ingest_xid <= (select max(facts.ingest_xid) from {{ ref('fct_payment_events') }} as facts)
    group by event_key, currency

),

facts as (

    select
        event_key,
        currency,
        arbitrary(received_at) as received_at,
        sum({{ exact('amount_minor') }}) as amount_minor,
        min(body_sha256) as body_sha256,
        count(*) as copies
    from {{ ref('fct_payment_events') }}
    group by event_key, currency

),

compared as (

    select
        cast(coalesce(lake.received_at, facts.received_at) as date) as received_on,
        coalesce(lake.currency, facts.currency, 'none') as currency,
        lake.event_key is not null as is_in_lake,
        facts.event_key is not null as is_in_facts,
        coalesce(facts.copies, 0) as copies,
        lake.copies as lake_copies,
        coalesce(lake.body_sha256 <> facts.body_sha256, false) as is_altered,
        lake.amount_minor as lake_amount_minor,
        facts.amount_minor as facts_amount_minor
    from lake
    full outer join facts on lake.event_key = facts.event_key

),

counted as (

    select
        received_on,
        currency,
        count_if(is_in_lake) as lake_events,
        cast(sum(copies) as bigint) as facts_events,
        count_if(not is_in_facts) as missing_events,
        count_if(not is_in_lake) as unknown_events,
        count_if(copies > 1) as repeated_events,
        count_if(lake_copies > 1) as lake_repeated_events,
        count_if(is_altered) as altered_events,
        coalesce(sum(lake_amount_minor), 0) as lake_amount_minor,
        coalesce(sum(facts_amount_minor), 0) as facts_amount_minor
    from compared
    group by received_on, currency

)

select
    {{ surrogate_key(['received_on', 'currency']) }} as audit_key,
    received_on,
    currency,
    lake_events,
    facts_events,
    missing_events,
    unknown_events,
    repeated_events,
    lake_repeated_events,
    altered_events,
    lake_amount_minor,
    facts_amount_minor,
    cast(
        if(
            missing_events + unknown_events + repeated_events + lake_repeated_events + altered_events = 0
            and lake_amount_minor = facts_amount_minor,
            'adds up',
            'differs'
        ) as varchar
    ) as verdict
from counted
