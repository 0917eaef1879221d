{#- The constraints of the contract that rows break: a column that is not_null and is null, a primary
    key that is there twice. One scan a mart; CREATE TABLE AS can't declare them. -#}
{% test satisfies_constraints(model) %}

    {%- set names, counts = [], [] -%}
    {%- if execute -%}
    {%- set node = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
        | selectattr('name', 'equalto', model.identifier) | first -%}
    {%- for column in node.columns.values() -%}
        {%- for constraint in column.constraints -%}
            {%- do names.append("'" ~ column.name ~ " " ~ constraint.type ~ "'") -%}
            {%- do counts.append(
                "count_if(" ~ column.name ~ " is null)" if constraint.type == 'not_null'
                else "count(*) - count(distinct " ~ column.name ~ ")"
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endif -%}

with

counted as (

    select array[{{ counts | join(', ') }}] as broken_rows
    from {{ model }}

)

select
    broken.constraint_name,
    broken.broken_rows
from counted
cross join unnest(array[{{ names | join(', ') }}], counted.broken_rows) as broken (constraint_name, broken_rows)
where broken.broken_rows > 0

{% endtest %}
