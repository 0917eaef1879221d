-- opening + movement = closing. Each opening equals the previous closing. The first opening is 0.
with

movements as (

    select
        movement_key,
        opening_mrr,
        movement_mrr,
        closing_mrr,
        lag(closing_mrr, 1, cast(0 as decimal(38, 4))) over (
            partition by provider, subscription_id, currency
            order by moved_at
        ) as closing_before
    from {{ ref('fct_subscriptions') }}

)

select * from movements
where opening_mrr + movement_mrr <> closing_mrr or opening_mrr <> closing_before
