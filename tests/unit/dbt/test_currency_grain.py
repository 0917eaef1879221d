"""Tests of `currency_grain`: aggregates that it must report and aggregates that it must accept."""

import pytest

from support.currency_grain import mixed


@pytest.mark.parametrize(
    "sql",
    [
        "select sum(amount) from t",
        "select merchant, sum(net_amount) filter (where x) from t group by merchant",
        "select avg(opening_mrr) over (partition by merchant) from t",
        "with a as (select day, max(amount_minor) as m from t group by day) select m from a",
        "select a, (select sum(captured_amount) from u) from t group by a, currency",
        "select merchant, lag(closing_mrr) over (partition by merchant order by at) from t",
    ],
)
def test_an_aggregate_over_several_currencies_is_reported(sql: str) -> None:
    assert mixed(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select currency, sum(amount) from t group by currency",
        "select t.currency, day, sum(t.net_amount) from t group by day, t.currency",
        "select avg(opening_mrr) over (partition by merchant, currency) from t",
        "select count(amount), count_if(amount > 0) from t",
        "select max_by(amount_minor, at) from t group by payment",
        "select sum(net_amount_reporting) from t",
        "select greatest(amount, 0) from t",
    ],
)
def test_an_aggregate_of_one_currency_passes(sql: str) -> None:
    assert not mixed(sql)
