{#- The payment's state according to one event: the status of a payment or a charge. Null if the event says
    nothing about the state, or a word that this version does not know. -#}
{% macro lifecycle_state() -%}
    case when kind in ('payment', 'charge') then nullif(status, 'unknown') end
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

{#- Sort key of the events about one payment: the event with the greater recency is the newer one. The query
    must have the column is_superseded. -#}
{% macro recency() -%}
    row(lifecycle_rank, occurred_at, not is_superseded, event_id)
{%- endmacro %}

{#- True if another event of the same object and second says that it replaced one of these values. Times have
    whole seconds, so the provider's previous values are the only order within a second. -#}
{% macro is_superseded(columns) -%}
    ({% for column in columns -%}
        coalesce(contains(
            array_agg(previous_{{ column }}) over (partition by provider, object_id, occurred_at), {{ column }}
        ), false){% if not loop.last %} or {% endif %}
    {%- endfor %})
{%- endmacro %}

{#- 1 for the newest event about an object, in the order of these expressions. -#}
{% macro newest_first(order) -%}
    row_number() over (
        partition by provider, object_id
        order by {% for each in order %}{{ each }} desc, {% endfor %}event_id desc
    )
{%- endmacro %}

{#- The newest value of a column within a group, nulls left out. -#}
{% macro latest(column, condition='true') -%}
    max_by({{ column }}, {{ recency() }}) filter (where {{ column }} is not null and {{ condition }})
{%- endmacro %}

{#- The classes of declines (`payment_pipeline.domain.declines`). Column names end in them. -#}
{% macro decline_classes() -%}
    {{ return([
        'insufficient_funds', 'card_data', 'suspected_fraud', 'authentication', 'transient', 'do_not_retry', 'other'
    ]) }}
{%- endmacro %}

{#- The newest time in the data, which the marts use as the clock: the same events always give the same result.
    Live and test mode each have a clock. The receipt time limits it, because a provider's clock can be ahead. -#}
{% macro newest_times() -%}
    select
        is_live,
        max(least(occurred_at, received_at)) as last_event_at
    from {{ ref('int_payment_events') }}
    group by is_live
{%- endmacro %}
