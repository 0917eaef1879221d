{{ config(materialized='view') }}

with

audits as (

    select * from {{ ref('stg_ledger_audits') }}

)

select
    audit_key,
    audited_at,
    asked_by,
    window_since,
    window_until,
    cast(if(is_clean, 'clean', 'not clean') as varchar) as verdict,
    is_clean,
    is_settled,
    has_client_ledger,
    received_events,
    normalized_events,
    rejected_events,
    unmodelled_events,
    bronze_events,
    quarantine_events,
    lake_events,
    facts_events,
    pending_events,
    missing_events,
    duplicated_events,
    unexplained_events,
    mismatched_events,
    missing_events + duplicated_events + unexplained_events + mismatched_events as fault_events,
    elapsed_s,
    ingested_at
from audits
