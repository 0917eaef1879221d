{{ config(meta={'dagster': {'ref': {'name': 'fct_payments'}}}) }}
-- captured - refunded - disputed = net, for every payment and every day.
select
    payment_key as broken_key,
    net_amount
from {{ ref('fct_payments') }}
where captured_amount - refunded_amount - disputed_amount <> net_amount
union all
select
    day_key,
    net_amount
from {{ ref('fct_daily_payments') }}
where captured_amount - refunded_amount - disputed_amount <> net_amount
