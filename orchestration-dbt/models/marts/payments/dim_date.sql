with

days as (

    select series.date_day
    from unnest(sequence(date '2015-01-01', date '2035-12-31', interval '1' day)) as series (date_day)

)

select
    date_day,
    cast(year(date_day) as integer) as year_number,
    cast(quarter(date_day) as integer) as quarter_number,
    cast(month(date_day) as integer) as month_number,
    cast(week(date_day) as integer) as iso_week_number,
    cast(day_of_week(date_day) as integer) as iso_weekday_number,
    cast(format_datetime(date_day, 'EEEE') as varchar) as weekday_name,
    cast(format_datetime(date_day, 'MMMM') as varchar) as month_name,
    cast(date_trunc('month', date_day) as date) as month_start_on,
    cast(date_trunc('quarter', date_day) as date) as quarter_start_on,
    cast(date_trunc('week', date_day) as date) as week_start_on,
    day_of_week(date_day) >= 6 as is_weekend
from days
