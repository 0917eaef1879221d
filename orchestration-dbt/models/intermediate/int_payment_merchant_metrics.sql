with

reputation as (

    select * from {{ ref('int_payment_reputation') }}

),

-- An account can have live and test payments. The test payments of an account with live payments do not count.
modes as (

    select
        merchant_key,
        bool_or(is_live) as is_live
    from reputation
    group by merchant_key

),

counted as (

    select
        reputation.merchant_key,
        reputation.measure,
        cast(reputation.counts_from as date) as counts_from_day,
        -- A row leaves the window after 30 days, or earlier when the failed payment is authorized or the
        -- refund fails.
        least(
            date_add('day', 30, cast(reputation.counts_from as date)),
            coalesce(cast(reputation.counts_until as date), date '9999-12-31')
        ) as counts_until_day
    from reputation
    inner join modes on reputation.merchant_key = modes.merchant_key and reputation.is_live = modes.is_live

),

-- The newest time in the data serves as the clock, so that the same events always give the same result.
-- The receipt time limits it, because a provider's clock can be ahead.
today as (

    select max(cast(least(occurred_at, received_at) as date)) as last_on
    from {{ ref('int_payment_events') }}

),

changes as (

    select
        merchant_key,
        counts_from_day as happened_on,
        measure,
        1 as change
    from counted
    union all
    select
        merchant_key,
        counts_until_day as happened_on,
        measure,
        -1 as change
    from counted

),

-- Only finished days count: a merchant must not be rated by half a day.
finished_days as (

    select changes.*
    from changes
    inner join today on changes.happened_on < today.last_on

)

{{ reputation_totals('finished_days', 'merchant_key', 'happened_on') }}
