"""Waits until the consumer groups and the lake have caught up, or says which one lags."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Final

from aiokafka import TopicPartition

from payment_pipeline.adapters.kafka import Offsets
from payment_pipeline.domain.topics import DEAD_LETTERS, NORMALIZED

from .audited_lakehouse import Lakehouse, LoadPosition
from .audited_topics import Progress, Topics
from .stages import Stage

NORMALIZER: Final = "normalizer"
DISPATCHER: Final = "dispatcher"
"""Names of the consumer groups."""

ASK_AGAIN_S: Final = 0.5


async def settled(topics: Topics, deadline: float, progress: Progress) -> bool:
    """Wait until each group has committed all records that its topics hold at the call.

    Records that arrive later are not waited for, so the wait ends under traffic too.

    Args:
        topics: connected topics.
        deadline: a value of `time.monotonic`.
        progress: is called with the groups that lag, and by how many records.

    Returns:
        False if a group still lags at the deadline.
    """
    starts, ends = await topics.starts(), await topics.ends()

    async def behind() -> str:
        lags = {g: await _lag(topics, g, starts, ends) for g in (NORMALIZER, DISPATCHER)}
        return ", ".join(f"{group} {lag:,} behind" for group, lag in lags.items() if lag)

    return await _until_nobody_is(behind, deadline, lambda who: progress(f"waiting: {who}"))


async def loaded(
    lakehouse: Lakehouse, goal: Mapping[Stage, LoadPosition], deadline: float, progress: Progress
) -> bool:
    """Wait until the lake, and the facts if they are audited, have loaded the last rows of bronze.

    Args:
        lakehouse: has the watermarks.
        goal: the last rows of bronze, by the stage that they are loaded into.
        deadline: a value of `time.monotonic`.
        progress: is called with the stages that lag.

    Returns:
        False if a stage still lags at the deadline.
    """
    if Stage.LAKE in goal:
        goal = {**goal, Stage.FACTS: goal[Stage.LAKE]}

    async def behind() -> str:
        reached = await asyncio.to_thread(lakehouse.reached)
        return ", ".join(s for s, at in reached.items() if at < goal.get(s, LoadPosition()))

    said = "waiting for the next load"
    return await _until_nobody_is(behind, deadline, lambda who: progress(f"{said}: {who}"))


async def _until_nobody_is(
    behind: Callable[[], Awaitable[str]], deadline: float, progress: Progress
) -> bool:
    """Poll until nobody lags. Returns False at the deadline."""
    while who := await behind():
        if monotonic() >= deadline:
            return False
        progress(who)
        await asyncio.sleep(ASK_AGAIN_S)
    return True


async def _lag(topics: Topics, group: str, starts: Offsets, ends: Offsets) -> int:
    committed = await topics.committed(group)
    return lag(group, committed, starts, ends)


def lag(group: str, committed: Mapping[TopicPartition, int], starts: Offsets, ends: Offsets) -> int:
    """Return the consumer lag of a group: the records of its topics that it has not committed."""
    return sum(
        max(0, end - max(committed.get(partition, 0), starts[partition]))
        for partition, end in ends.items()
        if group_of(partition.topic) == group
    )


def group_of(topic: str) -> str | None:
    """Return the group that consumes a topic, or `None` if no group does."""
    if topic in (NORMALIZED, *DEAD_LETTERS):
        return DISPATCHER
    return NORMALIZER if topic.startswith("webhooks.") else None
