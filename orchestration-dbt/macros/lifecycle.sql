{#- The payment's state according to one event. -#}
{% macro lifecycle_state() -%}
    case
        when event_type = 'payment.created' then 'created'
        when event_type = 'payment.requires_action' then 'requires_action'
        when event_type in ('payment.processing', 'payment.partially_funded') then 'processing'
        when event_type = 'payment.failed' then 'failed'
        when event_type = 'payment.amount_capturable_updated' then 'authorized'
        when event_type = 'payment.succeeded' then 'succeeded'
        when event_type in ('payment.canceled', 'charge.expired') then 'canceled'
        when kind = 'charge' and status = 'failed' then 'failed'
        when kind = 'charge' and status = 'pending' then 'processing'
        when kind = 'charge' and not is_captured then 'authorized'
        when kind = 'charge' then 'succeeded'
    end
{%- endmacro %}

{#- The rank of a state in the life cycle. Timestamps have whole seconds and events arrive out of order, so
    the state with the highest rank wins, whenever its event arrived. The three states in the middle have
    the same rank, because a payment can return to them; the newest of them wins. -#}
{% macro lifecycle_rank(state) -%}
    case {{ state }}
        when 'created' then 1
        when 'requires_action' then 2
        when 'processing' then 2
        when 'failed' then 2
        when 'authorized' then 3
        when 'succeeded' then 4
        when 'canceled' then 4
        else 0
    end
{%- endmacro %}

{#- Sort key of the events about one object: the event with the greater recency is the newer one. -#}
{% macro recency() -%}
    row(lifecycle_rank, occurred_at, event_id)
{%- endmacro %}

{#- 1 for the newest event about an object. Events are ordered by rank, then time, then event id. -#}
{% macro newest_first(rank, object='provider, object_id') -%}
    row_number() over (
        partition by {{ object }}
        order by {{ rank }} desc, occurred_at desc, event_id desc
    )
{%- endmacro %}

{#- The newest value of a column within a group, nulls left out. -#}
{% macro latest(column, condition='true') -%}
    max_by({{ column }}, {{ recency() }}) filter (where {{ column }} is not null and {{ condition }})
{%- endmacro %}

{#- Decline classes of failed attempts. Each class calls for a different action. The codes are Stripe's. -#}
{% macro decline_class(decline_reason) -%}
    case
        when {{ decline_reason }} is null then null
        when {{ decline_reason }} in ('insufficient_funds', 'withdrawal_count_limit_exceeded')
            then 'insufficient_funds'
        when {{ decline_reason }} in (
            'expired_card', 'incorrect_cvc', 'invalid_cvc', 'incorrect_zip', 'incorrect_number',
            'invalid_number', 'invalid_expiry_month', 'invalid_expiry_year'
        ) then 'card_data'
        when {{ decline_reason }} in (
            'fraudulent', 'lost_card', 'stolen_card', 'pickup_card', 'restricted_card',
            'security_violation', 'merchant_blacklist', 'highest_risk_level', 'blocked'
        ) then 'suspected_fraud'
        when {{ decline_reason }} in (
            'authentication_required', 'authentication_failed', 'authentication_not_handled',
            'payment_intent_authentication_failure'
        ) then 'authentication'
        when {{ decline_reason }} in (
            'processing_error', 'issuer_not_available', 'reenter_transaction', 'try_again_later',
            'approve_with_id', 'network_error'
        ) then 'transient'
        else 'other'
    end
{%- endmacro %}

{#- The classes that `decline_class` returns. Column names end in them. -#}
{% macro decline_classes() -%}
    {{ return(['insufficient_funds', 'card_data', 'suspected_fraud', 'authentication', 'transient', 'other']) }}
{%- endmacro %}
