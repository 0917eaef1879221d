with

metrics as (

    select * from {{ ref('int_payment_merchant_metrics') }}

),

accounts as (

    select
        merchant_key,
        arbitrary(provider) as provider,
        arbitrary(merchant_id) as merchant_id,
        -- Limited by the receipt time: a provider's clock that is ahead would give a date in the future.
        cast(min(least(occurred_at, received_at)) as date) as first_seen_on
    from {{ ref('int_payment_events') }}
    group by merchant_key

),

names as (

    select
        accounts.*,
        {{ merchant_name('accounts.provider', 'accounts.merchant_id', 'merchant_names.name') }} as merchant_name
    from accounts
    left join {{ ref('merchant_names') }} as merchant_names
        on accounts.provider = merchant_names.provider and accounts.merchant_id = merchant_names.merchant_id

),

-- A day is rated when it is over: its reputation is valid from the next midnight, UTC.
judged as (

    select
        merchant_key,
        date_add('day', 1, happened_on) as judged_on,
        cast({{ risk_profile('reports', 'successful_payments', 'failed_payments') }} as varchar) as risk_profile,
        {{ merchant_health_score('successful_payments', 'failed_payments', 'reports', 'refunds') }} as health_score
    from metrics
    union all
    select
        merchant_key,
        first_seen_on as judged_on,
        'unrated' as risk_profile,
        null as health_score
    from names

),

compared as (

    select
        *,
        lag(row(risk_profile, health_score)) over (partition by merchant_key order by judged_on) as reputation_before
    from judged

),

versions as (

    select
        *,
        lead(judged_on) over (partition by merchant_key order by judged_on) as next_on,
        row_number() over (partition by merchant_key order by judged_on) as version_number
    from compared
    where row(risk_profile, health_score) is distinct from reputation_before

),

members as (

    select
        versions.merchant_key,
        names.provider,
        names.merchant_id,
        names.merchant_name,
        versions.risk_profile,
        versions.health_score,
        versions.version_number,
        versions.judged_on,
        versions.next_on
    from versions
    inner join names on versions.merchant_key = names.merchant_key
    union all
    select
        'unknown' as merchant_key,
        null as provider,
        null as merchant_id,
        'unknown' as merchant_name,
        'unknown' as risk_profile,
        null as health_score,
        1 as version_number,
        date '1900-01-01' as judged_on,
        null as next_on

)

select
    {{ surrogate_key(['merchant_key', 'version_number']) }} as merchant_version_key,
    merchant_key,
    provider,
    merchant_id,
    merchant_name,
    cast(version_number as bigint) as version_number,
    risk_profile,
    health_score,
    coalesce(merchant_id, '') = 'platform' as is_platform,
    next_on is null as is_current,
    with_timezone(cast(judged_on as timestamp(6)), 'UTC') as valid_from,
    with_timezone(cast(coalesce(next_on, date '9999-12-31') as timestamp(6)), 'UTC') as valid_to
from members
