{#- Merchants that the seed names more than once. -#}
{% test names_one_merchant_each(model) %}

select
    provider,
    merchant_id
from {{ model }}
group by provider, merchant_id
having count(*) > 1

{% endtest %}
