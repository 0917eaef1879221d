-- The decline classes sum to the declined payments. Authorized and failed attempts sum to all attempts.
select
    day_key,
    declined_payments
from {{ ref('fct_daily_payments') }}
where
    declined_payments <> attempted_payments - authorized_payments
    or declined_payments <> 0
    {% for class in decline_classes() %}
        + declined_{{ class }}_payments
    {% endfor %}
