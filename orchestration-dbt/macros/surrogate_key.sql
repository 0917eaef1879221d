{#- One hash for several columns. Every part is quoted by its length, so that ('a', 'bc') and
    ('ab', 'c') differ, and a null is told from an empty text. -#}
{% macro surrogate_key(columns) -%}
    lower(to_hex(md5(to_utf8(
        {%- for column in columns -%}
        coalesce(cast(length(cast({{ column }} as varchar)) as varchar) || ':' || cast({{ column }} as varchar), '-')
        {%- if not loop.last %} || {% endif -%}
        {%- endfor -%}
    ))))
{%- endmacro %}

{#- The key of a dimension's member; what isn't known points to the unknown member. -#}
{% macro member_key(provider, id) -%}
    case when {{ id }} is null then 'unknown' else {{ surrogate_key([provider, id]) }} end
{%- endmacro %}
