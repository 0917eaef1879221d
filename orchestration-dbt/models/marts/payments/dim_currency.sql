with

currencies as (

    select * from {{ ref('currencies') }}

)

select
    cast(currency as varchar) as currency,
    cast(name as varchar) as currency_name,
    cast(iso_exponent as integer) as iso_exponent,
    is_withdrawn
from currencies
