{#- The constraints of the contract that rows break: a column that is not_null and is null, a primary
    key that is there twice. One scan a mart; CREATE TABLE AS can't declare them. -#}
{% test honours_constraints(model) %}

{%- set required, keys = [], [] -%}
{%- if execute -%}
    {%- set node = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
        | selectattr('name', 'equalto', model.identifier) | first -%}
    {%- for column in node.columns.values() -%}
        {%- for constraint in column.constraints -%}
            {%- do (required if constraint.type == 'not_null' else keys).append(column.name) -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endif %}

select
    broken.constraint_name,
    broken.broken_rows
from (
    select
        array[{% for key in keys %}count(*) - count(distinct {{ key }}), {% endfor %}
            {%- for name in required %}count_if({{ name }} is null){{ ', ' if not loop.last }}{% endfor %}] as counts
    from {{ model }}
) as counted
cross join unnest(
    array[{% for key in keys %}'{{ key }} is a key', {% endfor %}
        {%- for name in required %}'{{ name }} is not null'{{ ', ' if not loop.last }}{% endfor %}],
    counted.counts
) as broken (constraint_name, broken_rows)
where broken.broken_rows > 0

{% endtest %}
