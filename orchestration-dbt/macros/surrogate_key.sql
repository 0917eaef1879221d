{#- One hash of several columns. The length of each part is hashed too, so that ('a', 'bc') and
    ('ab', 'c') differ. Null and the empty text also differ. -#}
{% macro surrogate_key(columns) -%}
    lower(to_hex(md5(to_utf8(
        {%- for column in columns -%}
        coalesce(cast(length(cast({{ column }} as varchar)) as varchar) || ':' || cast({{ column }} as varchar), '-')
        {%- if not loop.last %} || {% endif -%}
        {%- endfor -%}
    ))))
{%- endmacro %}

{#- The key of a dimension's member, whose id is unique within the columns of the scope. An unknown id gets
    the key of the member "unknown". -#}
{% macro member_key(scope, id) -%}
    case when {{ id }} is null then 'unknown' else {{ surrogate_key(scope + [id]) }} end
{%- endmacro %}
