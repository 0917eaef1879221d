{#- Converts an amount in minor units of any currency into its major unit, with exact decimal arithmetic.

    currency_exponent: the number of decimals that the provider uses for the currency, as each row has
    it (0 for JPY, 2 for ISK at Stripe, 3 for KWD). Four decimals are enough for every exponent. -#}
{% macro minor_to_major(amount_minor, currency_exponent) -%}
    cast(
        cast({{ amount_minor }} as decimal(38, 6)) / case {{ currency_exponent }}
            when 0 then decimal '1'
            when 1 then decimal '10'
            when 2 then decimal '100'
            when 3 then decimal '1000'
            when 4 then decimal '10000'
        end
        as decimal(38, 4)
    )
{%- endmacro %}

{#- Wraps `minor_to_major` under the name that models use. Despite its name, it converts every currency:
    pass the row's exponent. Without an exponent, the amount is in hundredths. -#}
{% macro cents_to_dollars(amount_minor, currency_exponent=2) -%}
    {{ minor_to_major(amount_minor, currency_exponent) }}
{%- endmacro %}

{#- An amount in minor units that sums and differences can't overflow: 64 bits hold one amount, not a sum. -#}
{% macro exact(amount_minor) -%}
    cast({{ amount_minor }} as decimal(38, 0))
{%- endmacro %}

{#- Divides part by whole, as a double. Null when the whole is zero or null. -#}
{% macro rate(part, whole) -%}
    cast({{ part }} as double) / nullif({{ whole }}, 0)
{%- endmacro %}
