{#- A customer's tier, by the number of successful payments. Amounts are not used, because amounts in
    several currencies have no sum. -#}
{% macro customer_tier(successful_payments) -%}
    case
        when {{ successful_payments }} >= 20 then 'champion'
        when {{ successful_payments }} >= 6 then 'loyal'
        when {{ successful_payments }} >= 2 then 'regular'
        when {{ successful_payments }} >= 1 then 'new'
        else 'prospect'
    end
{%- endmacro %}

{#- The risk profile of a customer or merchant: disputes and early fraud warnings per successful payment.
    The networks' monitoring programmes begin between 0.75 and 1.5 % (Visa VAMP, Mastercard ECP). -#}
{% macro risk_profile(reports, successful_payments, failed_payments) -%}
    case
        when {{ successful_payments }} + {{ failed_payments }} + {{ reports }} = 0 then 'unrated'
        when {{ reports }} * 1000 >= greatest({{ successful_payments }}, 1) * 15 then 'high'
        when {{ reports }} * 10000 >= greatest({{ successful_payments }}, 1) * 75 then 'elevated'
        when {{ failed_payments }} >= 3 and {{ failed_payments }} > {{ successful_payments }}
            then 'elevated'
        else 'normal'
    end
{%- endmacro %}

{#- A merchant's health score from 0 to 100; null without payments. Failed payments cost up to 40
    points (all 40 when half of the payments fail), reports up to 40 (at 1.5 %), refunds up to 20 (at 20 %). -#}
{% macro merchant_health_score(successful_payments, failed_payments, reports, refunds) -%}
    cast(
        case when {{ successful_payments }} + {{ failed_payments }} > 0 then round(
            100.0e0
            - 40.0e0 * least(1.0e0, 2.0e0 * {{ failed_payments }} / ({{ successful_payments }} + {{ failed_payments }}))
            - 40.0e0 * least(1.0e0, {{ reports }} / 0.015e0 / greatest({{ successful_payments }}, 1))
            - 20.0e0 * least(1.0e0, {{ refunds }} / 0.2e0 / greatest({{ successful_payments }}, 1))
        ) end
        as integer
    )
{%- endmacro %}

{#- Days until the outcome of a model's answer is known: the window of its label in `inference.models`. -#}
{% macro maturity_days(output) -%}
    case {{ output }} when 'retry_strategy' then 20 else 30 end
{%- endmacro %}

{#- Delay after a failure from which an attempt counts as a retry. An earlier attempt was made by a person
    at the checkout. The delay is that of `inference.models.retry_strategy`. -#}
{% macro retry_wait_minutes() -%}
    30
{%- endmacro %}

{#- Time after the advised time of a retry after which nobody retries any more: the pauses of
    `orchestrator.workflows.recovery` between its looks at the payment, added up. -#}
{% macro recovery_patience_minutes() -%}
    4755
{%- endmacro %}

{#- Running totals of int_payment_reputation's measures, from rows `member, moment, measure, change`: one
    row for each member and moment. A measure with another name adds a moment but changes no total. -#}
{% macro reputation_totals(changes, member, moment) -%}
    select
        {{ member }},
        {{ moment }}
        {%- for measure in ['successful_payments', 'failed_payments', 'refunds', 'reports'] %},
        sum(sum(if(measure = '{{ measure }}', change, 0))) over (
            partition by {{ member }} order by {{ moment }}
        ) as {{ measure }}
        {%- endfor %}
    from {{ changes }}
    group by {{ member }}, {{ moment }}
{%- endmacro %}
