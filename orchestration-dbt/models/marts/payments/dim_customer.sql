with

metrics as (

    select * from {{ ref('int_payment_customer_metrics') }}

),

names as (

    select
        customer_key,
        arbitrary(provider) as provider,
        arbitrary(customer_id) as customer_id
    from {{ ref('int_payment_events') }}
    where customer_key <> 'unknown'
    group by customer_key

),

judged as (

    select
        customer_key,
        happened_at,
        cast({{ customer_tier('successful_payments') }} as varchar) as tier,
        cast({{ risk_profile('reports', 'successful_payments', 'failed_payments') }} as varchar) as risk_profile,
        country,
        coalesce(is_delinquent, false) as is_delinquent,
        subscription_status,
        is_deleted
    from metrics

),

compared as (

    select
        *,
        row(tier, risk_profile, country, is_delinquent, subscription_status, is_deleted) as reputation,
        lag(row(tier, risk_profile, country, is_delinquent, subscription_status, is_deleted))
            over (partition by customer_key order by happened_at) as reputation_before
    from judged

),

-- A version begins at each moment that differs from the moment before.
versions as (

    select
        *,
        lead(happened_at) over (partition by customer_key order by happened_at) as next_at,
        row_number() over (partition by customer_key order by happened_at) as version_number
    from compared
    where reputation is distinct from reputation_before

),

members as (

    select
        versions.customer_key,
        names.provider,
        names.customer_id,
        versions.tier,
        versions.risk_profile,
        versions.country,
        versions.subscription_status,
        versions.is_delinquent,
        versions.is_deleted,
        versions.version_number,
        versions.happened_at,
        versions.next_at
    from versions
    inner join names on versions.customer_key = names.customer_key
    union all
    select
        'unknown' as customer_key,
        null as provider,
        null as customer_id,
        'unknown' as tier,
        'unknown' as risk_profile,
        null as country,
        null as subscription_status,
        false as is_delinquent,
        false as is_deleted,
        1 as version_number,
        timestamp '1900-01-01 00:00:00.000000 UTC' as happened_at,
        null as next_at

)

select
    {{ surrogate_key(['customer_key', 'version_number']) }} as customer_version_key,
    customer_key,
    provider,
    customer_id,
    cast(version_number as bigint) as version_number,
    tier,
    risk_profile,
    country,
    subscription_status,
    is_delinquent,
    is_deleted,
    next_at is null as is_current,
    cast(happened_at as timestamp(6) with time zone) as valid_from,
    cast(coalesce(next_at, timestamp '9999-12-31 00:00:00.000000 UTC') as timestamp(6) with time zone) as valid_to
from members
