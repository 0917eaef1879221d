"""Lake rows of the money cases: case files, other shapes, and the pairs that state money.

The rows of each case have a `provider` of their own, because the cases share ids with each other
and with simulated events.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import COLUMNS, ScoredEvent, to_record
from payment_pipeline.domain.events import EventBase
from support.money_shapes import SHAPES
from support.pairs import Pair, normalize, pairs

Row = dict[str, Any]

FOLDER: Final = Path(__file__).parents[1] / "providers/stripe_cases"
EVENTS: Final[Mapping[str, list[dict[str, Any]]]] = {
    **{
        path.stem: json.loads(path.read_text())["events_in_order_of_sending"]
        for path in sorted(FOLDER.glob("*.json"))
    },
    **{name: shape.events for name, shape in SHAPES.items()},
}
"""The provider's events of each case, in the order of sending."""
PAID: Final = [pair for pair in pairs() if pair.event["kind"] in ("payment", "charge")]
"""The pairs of events that state the money of a payment."""


def provider_of_case(name: str) -> str:
    """The provider in the rows of a case."""
    return f"stripe/{name}"


def provider_of_pair(pair: Pair) -> str:
    """The provider in the row of a pair."""
    return f"{pair.provider}/{pair.name}"


@cache
def rows() -> tuple[Row, ...]:
    """The rows of all cases and pairs, without the columns that PostgreSQL fills in."""
    cases = [row for name, events in EVENTS.items() for row in _of_case(name, events)]
    paid = [_row(pair.body, pair.provider, provider_of_pair(pair)) for pair in PAID]
    return (*cases, *paid)


def _of_case(name: str, events: list[dict[str, Any]]) -> list[Row]:
    """The rows of a case: bronze keeps the first delivery of each event."""
    kept: dict[str, Row] = {}
    for event in events:
        row = _row(json.dumps(event).encode(), "stripe", provider_of_case(name))
        kept.setdefault(row["event_id"], row)
    return list(kept.values())


def _row(body: bytes, sender: str, provider: str) -> Row:
    event = normalize(body, sender)
    assert isinstance(event, EventBase), event
    record = to_record(ScoredEvent(event, None, InferenceStatus.NOT_APPLICABLE), "test")
    row = dict(zip(COLUMNS, record, strict=True))
    return row | {"attributes": row["attributes"].decode(), "provider": provider}
