{#- The attributes that only some kinds of events have (`payment_pipeline.domain.events`), as one typed
    row. The JSON is parsed once, fields match by name, and a missing attribute is null. -#}
{% macro attributes_type() -%}
    row(
        actionable boolean,
        amount_authorized_minor bigint,
        amount_capturable_minor bigint,
        amount_captured_minor bigint,
        amount_paid_minor bigint,
        amount_received_minor bigint,
        amount_refunded_minor bigint,
        amount_remaining_minor bigint,
        arrival_at varchar,
        attempt_count bigint,
        automatic boolean,
        balance_minor bigint,
        balance_transaction_id varchar,
        billing_reason varchar,
        cancel_at_period_end boolean,
        canceled_at varchar,
        cancellation_reason varchar,
        capture_method varchar,
        captured boolean,
        charge_id varchar,
        closed_reason varchar,
        collection_resumes_at varchar,
        collection_method varchar,
        country varchar,
        coupon_id varchar,
        current_period_end_at varchar,
        current_period_start_at varchar,
        customer_since_at varchar,
        decline row(
            reason varchar,
            decline_class varchar,
            code varchar,
            decline_code varchar,
            advice_code varchar,
            network_decline_code varchar,
            network_advice_code varchar
        ),
        delinquent boolean,
        disputed boolean,
        due_at varchar,
        ended_at varchar,
        evidence_due_at varchar,
        failure_code varchar,
        failure_reason varchar,
        fraud_type varchar,
        has_unknown_amount boolean,
        "interval" varchar,
        interval_count bigint,
        invoice_id varchar,
        is_charge_refundable boolean,
        is_collection_paused boolean,
        method varchar,
        monthly_amount_minor varchar,
        net_balance_currency varchar,
        net_balance_minor bigint,
        network_reason_code varchar,
        next_payment_attempt_at varchar,
        opened_reason varchar,
        payment_method row(
            type varchar,
            brand varchar,
            network varchar,
            funding varchar,
            country varchar,
            wallet varchar,
            card_hash varchar,
            cvc_check varchar,
            postal_code_check varchar,
            three_d_secure varchar
        ),
        period_end_at varchar,
        period_start_at varchar,
        previous row(
            status varchar,
            amount_refunded_minor bigint,
            amount_captured_minor bigint,
            monthly_amount_minor varchar,
            is_collection_paused boolean,
            cancel_at_period_end boolean,
            delinquent boolean,
            country varchar
        ),
        provider_reason varchar,
        quantity bigint,
        reason varchar,
        refunded boolean,
        reinstated_minor bigint,
        requested_at varchar,
        risk row(level varchar, score bigint, outcome_type varchar, reason varchar),
        setup_future_usage varchar,
        started_at varchar,
        subscription_id varchar,
        total_minor bigint,
        trial_end_at varchar,
        type varchar,
        withdrawn_minor bigint
    )
{%- endmacro %}

{#- Converts an attribute in ISO 8601 text to a timestamp. -#}
{% macro moment(text) -%}
    cast(from_iso8601_timestamp_nanos({{ text }}) as timestamp(6) with time zone)
{%- endmacro %}

{#- The models' answers: a map from output (fraud_score, …) to value, model and version. A new model
    needs no change here. -#}
{% macro scores_type() -%}
    map(varchar, row(value varchar, model varchar, version varchar))
{%- endmacro %}
