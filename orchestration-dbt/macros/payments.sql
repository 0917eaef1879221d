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

{# After each run, gives the events that name only a charge the payment of that charge. Another event names
   both, and it may come later. #}
{% macro link_events_to_payments(events) -%}
    merge into {{ events }} as told
    using (
        select
            provider,
            charge_id,
            min(payment_id) as payment_id,
            min_by(payment_key, payment_id) as payment_key
        from (
            select provider, object_id as charge_id, payment_id, payment_key from {{ events }}
            where kind = 'charge'
            union all
            select provider, charge_id, payment_id, payment_key from {{ events }}
            where kind = 'payment'
        ) as named
        where charge_id is not null and payment_id <> charge_id
        group by provider, charge_id
    ) as links
        on
            told.provider = links.provider
            and told.payment_id = links.charge_id
            and told.kind in ('dispute', 'refund', 'fraud_warning', 'review')
    when matched then update set payment_id = links.payment_id, payment_key = links.payment_key
{%- endmacro %}
