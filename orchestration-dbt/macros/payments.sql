{# Which events a payment's state is computed from. #}
{% macro is_about_a_payment() -%}
    kind in ('payment', 'charge', 'refund', 'dispute') and payment_key is not null
{%- endmacro %}

{# After an incremental run: a payment whose every event was corrected to be about another is none. #}
{% macro forget_payments_without_events(payments) -%}
    {% if is_incremental() %}
        delete from {{ payments }}
        where payment_key not in (select payment_key from {{ ref('int_payment_events') }} where {{ is_about_a_payment() }})
    {% endif %}
{%- endmacro %}
