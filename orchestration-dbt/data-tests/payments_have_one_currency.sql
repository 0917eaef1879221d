{{ config(severity='warn') }}
-- A payment, its refunds and its disputes have one currency. Amounts in another currency are left out.
select payment_key
from {{ ref('int_payment_events') }}
where kind in ('payment', 'charge', 'refund', 'dispute') and payment_key is not null
group by payment_key
having count(distinct currency) > 1
