{#- The name to show for a merchant, given its provider, its id and its name in the seed merchant_names. -#}
{% macro merchant_name(provider, merchant_id, name) -%}
    cast(
        coalesce(
            nullif(trim({{ name }}), ''),
            if({{ merchant_id }} = 'platform', 'Platform (' || {{ provider }} || ')', {{ merchant_id }})
        ) as varchar
    )
{%- endmacro %}
