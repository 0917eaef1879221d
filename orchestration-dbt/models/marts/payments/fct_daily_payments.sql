with

days as (

    select * from {{ ref('int_payment_daily_summary') }}

),

-- The day's rate is the newest one that was valid by then.
rates as (

    select
        days.created_on,
        days.currency,
        max_by(rates.rate, rates.valid_from) as rate
    from (select distinct created_on, currency from days) as days
    inner join {{ ref('exchange_rates') }} as rates
        on days.currency = rates.currency and rates.valid_from <= days.created_on
    where rates.reporting_currency = '{{ var("reporting_currency") }}'
    group by days.created_on, days.currency

)

select
    {{ surrogate_key(['days.created_on', 'merchant_key', 'days.currency', 'is_live']) }} as day_key,
    days.created_on,
    merchant_key,
    merchant_id,
    days.currency,
    is_live,

    -- payments
    created_payments,
    attempted_payments,
    authorized_payments,
    captured_payments,
    canceled_payments,
    refunded_payments,
    disputed_payments,
    fraud_warned_payments,
    failed_once_payments,
    recovered_payments,
    cast(attempts as bigint) as attempts,
    cast(failed_attempts as bigint) as failed_attempts,

    -- decline mix
    declined_payments,
    {% for class in decline_classes() %}
        declined_{{ class }}_payments,
    {% endfor %}

    -- amounts
    coalesce(attempted_amount, cast(0 as decimal(38, 4))) as attempted_amount,
    authorized_amount,
    captured_amount,
    refunded_amount,
    disputed_amount,
    net_amount,

    -- rates
    {{ rate('authorized_payments', 'attempted_payments') }} as authorization_rate,
    {{ rate('refunded_payments', 'captured_payments') }} as refund_rate,
    {{ rate('disputed_payments', 'captured_payments') }} as chargeback_rate,
    {{ rate('recovered_payments', 'failed_once_payments') }} as recovery_rate,

    -- converted, for an overview only
    cast('{{ var("reporting_currency") }}' as varchar) as reporting_currency,
    cast(captured_amount * rates.rate as decimal(38, 4)) as captured_amount_reporting,
    cast(net_amount * rates.rate as decimal(38, 4)) as net_amount_reporting
from days
left join rates
    on days.created_on = rates.created_on and days.currency = rates.currency
