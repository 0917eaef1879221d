with

reputation as (

    select * from {{ ref('int_payment_reputation') }}

),

-- An account has both modes. Who has ever taken real money isn't judged by tests.
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
        -- A day falls out of the window on the thirtieth after it; what is undone goes before.
        least(
            date_add('day', 30, cast(reputation.counts_from as date)),
            coalesce(cast(reputation.counts_until as date), date '9999-12-31')
        ) as counts_until_day
    from reputation
    inner join modes on reputation.merchant_key = modes.merchant_key and reputation.is_live = modes.is_live

),

-- The data's own clock, so that the same events always give the same answer. A provider's clock
-- that is ahead must not age everything.
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

-- A day says something when it is over: half of one would judge a merchant by its morning.
finished_days as (

    select changes.*
    from changes
    inner join today on changes.happened_on < today.last_on

)

{{ reputation_totals('finished_days', 'merchant_key', 'happened_on') }}
