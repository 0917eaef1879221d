{#- A table under contract is checked, then replaced in one commit.

    The adapter's own way creates it empty and fills it with a second statement, and in between a
    dashboard sees nothing. A temporary one is replaced too: a run that was killed may have left it.
    What CREATE TABLE AS can't declare, NOT NULL and the key, the data test
    `satisfies_constraints` holds. -#}
{% macro trino__create_table_as(temporary, relation, sql, on_exists=None) -%}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
        {%- set sql = get_select_subquery(sql) -%}
    {%- endif %}
    create{{ ' or replace' if on_exists == 'replace' or temporary }} table {{ relation }}
        {{ comment(model.get('description')) }}
        {{ properties(temporary) }}
    as (
        {{ sql }}
    )
{%- endmacro %}
