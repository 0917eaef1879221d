{#- Finds rows that break the contract: null in a not_null column, or a duplicate primary key. It scans each
    mart once. CREATE TABLE AS cannot declare these constraints. -#}
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
