"""Has the pipeline worked off what lay on its topics, and if not, who is behind?"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Final

from aiokafka import TopicPartition

from payment_pipeline.adapters.kafka import Offsets
from payment_pipeline.domain.topics import DEAD_LETTERS, NORMALIZED

from .audited_lakehouse import Lakehouse, Place
from .audited_topics import Progress, Topics
from .stages import Stage

NORMALIZER: Final = "normalizer"
DISPATCHER: Final = "dispatcher"
"""The consumer groups of the stages, as the stages name them."""

ASK_AGAIN_S: Final = 0.5


async def settled(topics: Topics, deadline: float, progress: Progress) -> bool:
    """Wait until each group has committed all that lies on its topics at the time of the call.

    New events that come meanwhile are not waited for, so it ends under traffic too.

    Args:
        topics: found, and connected.
        deadline: as of `time.monotonic`.
        progress: told who is behind, and by how many records.

    Returns:
        False if somebody is still behind at the deadline.
    """
    starts, ends = await topics.starts(), await topics.ends()

    async def behind() -> str:
        lags = {g: await _lag(topics, g, starts, ends) for g in (NORMALIZER, DISPATCHER)}
        return ", ".join(f"{group} {lag:,} behind" for group, lag in lags.items() if lag)

    return await _until_nobody_is(behind, deadline, lambda who: progress(f"waiting: {who}"))


async def loaded(
    lakehouse: Lakehouse, goal: Mapping[Stage, Place], deadline: float, progress: Progress
) -> bool:
    """Wait until the lake, and the facts if they are audited, have come as far as bronze had.

    Args:
        lakehouse: whose watermarks are asked.
        goal: bronze's last rows, by the stage that they go on to.
        deadline: as of `time.monotonic`.
        progress: told who is behind.

    Returns:
        False if one is still behind at the deadline.
    """
    if Stage.LAKE in goal:
        goal = {**goal, Stage.FACTS: goal[Stage.LAKE]}

    async def behind() -> str:
        reached = await asyncio.to_thread(lakehouse.reached)
        return ", ".join(s for s, place in reached.items() if place < goal.get(s, Place()))

    said = "waiting for the next load"
    return await _until_nobody_is(behind, deadline, lambda who: progress(f"{said}: {who}"))


async def _until_nobody_is(
    behind: Callable[[], Awaitable[str]], deadline: float, progress: Progress
) -> bool:
    """Ask who is behind until nobody is; false at the deadline."""
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
    """How many records of its topics a group has yet to commit."""
    return sum(
        max(0, end - max(committed.get(place, 0), starts[place]))
        for place, end in ends.items()
        if group_of(place.topic) == group
    )


def group_of(topic: str) -> str | None:
    """The group that consumes a topic; `None` where the data's way ends."""
    if topic in (NORMALIZED, *DEAD_LETTERS):
        return DISPATCHER
    return NORMALIZER if topic.startswith("webhooks.") else None
