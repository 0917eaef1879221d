{#- The configured schema, without the target's schema in front. Tests set a prefix to separate their runs. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ var('schema_prefix') }}{{ custom_schema_name or target.schema }}
{%- endmacro %}
