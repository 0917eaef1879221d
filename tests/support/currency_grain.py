"""Finds aggregates in SQL that would add up amounts in several currencies."""

import re
import warnings
from collections.abc import Iterator
from typing import Final

with warnings.catch_warnings():
    # Dagster's integration installs an old accelerator of sqlglot, which warns about its age.
    warnings.simplefilter("ignore", DeprecationWarning)
    from sqlglot import exp, parse_one

MONEY: Final = re.compile(r"(^|_)(amount|minor|mrr)(_|$)")
REPORTING: Final = re.compile(r"_reporting$")
"""Names of amounts that were converted to one currency."""
CURRENCY: Final = "currency"
_NO_SUM: Final = (exp.Count, exp.CountIf, exp.ArgMax, exp.ArgMin, exp.AnyValue, exp.ArrayAgg)
"""Aggregates that count rows, pick one value, or keep every value apart."""


def mixed(sql: str) -> list[str]:
    """Return, as SQL, the aggregates of amounts that do not group or partition by currency."""
    return [
        aggregate.sql("trino")
        for aggregate in parse_one(sql, dialect="trino").find_all(exp.AggFunc)
        if _is_of_money(aggregate) and CURRENCY not in _grain(aggregate)
    ]


def _is_of_money(aggregate: exp.AggFunc) -> bool:
    if isinstance(aggregate, _NO_SUM):
        return False
    names = [column.name for column in aggregate.find_all(exp.Column)]
    return any(MONEY.search(name) and not REPORTING.search(name) for name in names)


def _grain(aggregate: exp.AggFunc) -> set[str]:
    """Return the columns of the GROUP BY or PARTITION BY of an aggregate."""
    window = aggregate.find_ancestor(exp.Window, exp.Select)
    if isinstance(window, exp.Window):
        return set(_names(window.args.get("partition_by") or []))
    select = aggregate.find_ancestor(exp.Select)
    group = select.args.get("group") if select else None
    return set(_names(group.expressions if group else []))


def _names(expressions: list[exp.Expression]) -> Iterator[str]:
    for expression in expressions:
        for column in expression.find_all(exp.Column):
            yield column.name
