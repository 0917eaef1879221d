"""The marts against the money that the simulator knows it made, by payment and subscription.

The simulator tells the true money beside its events and knows nothing of the normalizer and the
marts (`payment_pipeline.simulator.true_money`). The history has every rare shape of
`payment_pipeline.simulator.rare_shapes`.
"""

from decimal import Decimal
from typing import Final

import pytest

from payment_pipeline.simulator.currencies import CURRENCIES
from payment_pipeline.simulator.true_money import Booking
from support import lake_history
from support.dbt_project import Dbt

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

Row = tuple[object, ...]
PAYMENTS: Final = """
    select payment_id, currency, state, authorized_amount, captured_amount, refunded_amount,
        disputed_amount, net_amount, failed_attempts, is_disputed, is_fraud_warned
    from {marts}.fct_payments
"""
MONTHLY: Final = """
    select subscription_id, currency, closing_mrr, has_unknown_amount
    from (
        select *, row_number() over (partition by subscription_id order by moved_at desc) as recency
        from {marts}.fct_subscriptions
    ) as movements
    where recency = 1
"""
MONTHLY_DIGITS: Final = Decimal("0.0001")
"""The precision of `closing_mrr`. The simulator knows the exact fraction."""


def test_each_payment_has_the_money_that_the_simulator_knows(built: Dbt) -> None:
    found = {row[0]: row for row in built.query(PAYMENTS.format(marts=built.schema("marts")))}
    expected = {name: _row(money) for name, money in lake_history.true_payments().items()}
    assert found.keys() == expected.keys(), "a payment is missing, or no payment of the market"
    wrong = {name: (found[name], row) for name, row in expected.items() if found[name] != row}
    assert not wrong


def test_each_subscription_bills_what_the_simulator_knows(built: Dbt) -> None:
    found = {row[0]: row for row in built.query(MONTHLY.format(marts=built.schema("marts")))}
    expected = lake_history.true_subscriptions()
    assert found.keys() == expected.keys()
    for name, billing in expected.items():
        _, currency, monthly, has_unknown_amount = found[name]
        assert (currency, has_unknown_amount) == (
            billing.currency.upper(),
            billing.has_unknown_amount,
        ), name
        exact = _major(billing.currency, billing.monthly_minor.numerator) / (
            billing.monthly_minor.denominator
        )
        if not billing.names_discounts_only:
            assert abs(Decimal(str(monthly)) - exact) <= MONTHLY_DIGITS, (name, monthly, exact)


def _row(money: Booking) -> Row:
    """The row of `fct_payments` with this money."""
    amounts = (
        money.authorized_minor,
        money.captured_minor,
        money.refunded_minor,
        money.disputed_minor,
        money.net_minor,
    )
    return (
        money.payment_id,
        money.currency.upper(),
        money.state,
        *(_major(money.currency, amount) for amount in amounts),
        money.failed_attempts,
        money.is_disputed,
        money.is_fraud_warned,
    )


def _major(currency: str, amount_minor: int) -> Decimal:
    return Decimal(amount_minor) / CURRENCIES[currency].minor_per_major
