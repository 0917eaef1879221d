with

days as (

    select
        *,
        {{ surrogate_key(['created_on', 'merchant_key', 'currency', 'is_live']) }} as day_key
    from {{ ref('int_payment_daily_summary') }}

),

-- The exchange rate of a day is the newest one valid on that day.
rates as (

    select
        days.day_key,
        max_by(rates.rate, rates.valid_from) as rate
    from days
    inner join {{ ref('exchange_rates') }} as rates
        on days.currency = rates.currency and days.created_on >= rates.valid_from
    where rates.reporting_currency = '{{ var("reporting_currency") }}'
    group by days.day_key

),

priced as (

    select
        days.*,
        rates.rate
    from days
    left join rates on days.day_key = rates.day_key

)

select
    day_key,
    created_on,
    merchant_key,
    merchant_id,
    merchant_name,
    currency,
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
    {{ rate('attempts - failed_attempts', 'attempts') }} as attempt_authorization_rate,
    {{ rate('refunded_payments', 'captured_payments') }} as refund_rate,
    {{ rate('disputed_payments', 'captured_payments') }} as chargeback_rate,
    {{ rate('recovered_payments', 'failed_once_payments') }} as recovery_rate,

    -- converted, for an overview only
    cast('{{ var("reporting_currency") }}' as varchar) as reporting_currency,
    cast(captured_amount * rate as decimal(38, 4)) as captured_amount_reporting,
    cast(net_amount * rate as decimal(38, 4)) as net_amount_reporting
from priced
