{#- Checks a table that has a contract, then replaces the table in one commit.

    The adapter's default creates an empty table and fills it with a second statement. Between the two,
    a dashboard sees no rows. A temporary table is replaced too, because a killed run may have left one.
    CREATE TABLE AS cannot declare NOT NULL and the primary key, so the data test
    `satisfies_constraints` checks them. -#}
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
