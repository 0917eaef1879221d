{#- Minor units to the major one, of any currency and exactly: decimal arithmetic, by the exponent
    that the provider uses for it (0 for JPY, 2 for ISK at Stripe, 3 for KWD), which stands on every
    row. Without one the amount is in hundredths. Four decimals hold every exponent there is. -#}
{% macro cents_to_dollars(amount_minor, currency_exponent=2) -%}
    cast(
        cast({{ amount_minor }} as decimal(23, 4)) / case {{ currency_exponent }}
            when 0 then decimal '1'
            when 1 then decimal '10'
            when 2 then decimal '100'
            when 3 then decimal '1000'
            when 4 then decimal '10000'
        end
        as decimal(38, 4)
    )
{%- endmacro %}

{#- What a billing period's amount is in a month. A year has 12 months, 365 days and 52 weeks. -#}
{% macro monthly_recurring(amount, billing_interval, interval_count) -%}
    cast(
        case {{ billing_interval }}
            when 'month' then {{ amount }}
            when 'year' then {{ amount }} / 12
            when 'week' then {{ amount }} * 52 / 12
            when 'day' then {{ amount }} * 365 / 12
        end / coalesce(nullif({{ interval_count }}, 0), 1)
        as decimal(38, 4)
    )
{%- endmacro %}

{#- A share as a double; null where there is nothing to take a share of. -#}
{% macro rate(part, whole) -%}
    cast({{ part }} as double) / nullif({{ whole }}, 0)
{%- endmacro %}
