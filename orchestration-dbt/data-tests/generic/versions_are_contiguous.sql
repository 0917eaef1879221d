{#- Finds versions of a member that overlap or leave a gap, and members whose last version is not the only
    current one. -#}
{% test versions_are_contiguous(model, member_key) %}

with

versions as (

    select
        {{ member_key }},
        valid_from,
        valid_to,
        is_current,
        lead(valid_from) over (partition by {{ member_key }} order by valid_from) as next_from
    from {{ model }}

)

select * from versions
where
    valid_from >= valid_to
    or next_from <> valid_to
    or is_current <> (next_from is null)

{% endtest %}
