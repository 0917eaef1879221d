{# Condition: the event describes a payment. The state of a payment is computed from these events. #}
{% macro is_about_a_payment() -%}
    kind in ('payment', 'charge', 'refund', 'dispute') and payment_key is not null
{%- endmacro %}

{# After an incremental run, deletes payments without events: corrections moved all their events to
   other payments. #}
{% macro forget_payments_without_events(payments) -%}
    {% if is_incremental() %}
        delete from {{ payments }}
        where payment_key not in (select payment_key from {{ ref('int_payment_events') }} where {{ is_about_a_payment() }})
    {% endif %}
{%- endmacro %}
