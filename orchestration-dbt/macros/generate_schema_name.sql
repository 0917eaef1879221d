{#- The schema as configured, without the target's in front; a test's prefix keeps runs apart. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ var('schema_prefix') }}{{ custom_schema_name or target.schema }}
{%- endmacro %}
