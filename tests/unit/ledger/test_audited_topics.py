"""From where topics are read, and how much of a window they still hold."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from payment_pipeline.domain.topics import PIPELINE
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.audited_topics import Topics

WEEK = timedelta(days=7)
PLACE = TopicPartition(PIPELINE[0], 0)


class Found(NamedTuple):
    """What `offsets_for_times` answers."""

    offset: int


class Broker:
    """As much of a consumer and an admin client as finding the start takes."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.asked_ms: dict[TopicPartition, int] = {}

    async def describe_topics(self) -> list[dict[str, Any]]:
        return [
            {"topic": name, "error_code": 0, "partitions": [{"partition": 0}]} for name in PIPELINE
        ]

    def assign(self, places: Iterable[TopicPartition]) -> None: ...

    def pause(self, *places: TopicPartition) -> None: ...

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[Any, int]:
        return {place: self.first if place == PLACE else 0 for place in places}

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[Any, int]:
        return dict.fromkeys(places, 100)

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[Any, Any]:
        self.asked_ms = times
        return {place: Found(40) if place == PLACE else None for place in times}


async def begun(window: Window, first: int = 0) -> tuple[Topics, Broker, Window]:
    broker = Broker(first)
    topics = Topics(broker, broker)
    await topics.discover()
    return topics, broker, await topics.begin(window, WEEK)


async def test_topics_that_lost_nothing_cover_any_window() -> None:
    window = Window(None, datetime.now(UTC))
    topics, broker, covered = await begun(window)
    assert covered == window
    assert topics._positions[PLACE] == 0
    assert not broker.asked_ms


async def test_a_window_that_reaches_past_retention_is_only_partly_covered() -> None:
    now = datetime.now(UTC)
    for since in (None, now - timedelta(days=30)):
        _, _, covered = await begun(Window(since, now), first=1)
        assert not covered.complete
        assert covered.since is not None
        assert abs(covered.since - (now - WEEK)) < timedelta(minutes=1)


async def test_a_window_within_retention_is_covered_whatever_was_deleted() -> None:
    window = Window(datetime.now(UTC) - timedelta(days=1), datetime.now(UTC))
    _, _, covered = await begun(window, first=1)
    assert covered == window


async def test_reading_begins_before_the_window_by_what_clocks_may_differ() -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    topics, broker, _ = await begun(Window(since, datetime.now(UTC)))
    assert broker.asked_ms[PLACE] <= (since - timedelta(seconds=59)).timestamp() * 1000
    assert topics._positions[PLACE] == 40
    assert {topics._positions[place] for place in topics._positions if place != PLACE} == {100}
