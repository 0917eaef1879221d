with

payments as (

    select * from {{ ref('fct_payments') }}
    where state <> 'unknown'

)

select
    created_on,
    merchant_key,
    currency,
    is_live,
    arbitrary(merchant_id) as merchant_id,
    arbitrary(merchant_name) as merchant_name,
    -- payments
    count(*) as created_payments,
    count_if(is_attempted) as attempted_payments,
    count_if(is_authorized) as authorized_payments,
    count_if(is_captured) as captured_payments,
    count_if(state = 'canceled') as canceled_payments,
    count_if(is_refunded) as refunded_payments,
    count_if(is_disputed) as disputed_payments,
    count_if(is_fraud_warned) as fraud_warned_payments,
    count_if(failed_attempts > 0) as failed_once_payments,
    count_if(is_recovered) as recovered_payments,
    -- attempts
    sum(attempts) as attempts,
    sum(failed_attempts) as failed_attempts,
    -- declined payments, by the decline class of the last attempt
    count_if(is_attempted and not is_authorized) as declined_payments,
    {% for class in decline_classes() %}
        count_if(is_attempted and not is_authorized and coalesce(decline_class, 'other') = '{{ class }}')
            as declined_{{ class }}_payments,
    {% endfor %}
    -- amounts
    sum(amount) filter (where is_attempted) as attempted_amount,
    sum(authorized_amount) as authorized_amount,
    sum(captured_amount) as captured_amount,
    sum(refunded_amount) as refunded_amount,
    sum(disputed_amount) as disputed_amount,
    sum(net_amount) as net_amount
from payments
group by created_on, merchant_key, currency, is_live
