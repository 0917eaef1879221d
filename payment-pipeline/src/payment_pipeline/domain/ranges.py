"""Ranges of offsets, and the ids of the workflows that process them."""

import re
from typing import Final, NamedTuple

# The part after @ is set when a topic was wiped: its offsets then start again at 0.
_ID: Final = re.compile(
    r"ingest/(?P<topic>.+)/(?P<partition>\d+)/(?P<start>\d+)-(?P<end>\d+)(@\d+)?"
)


class Range(NamedTuple):
    """The offsets of one partition from `start` (included) to `end` (excluded)."""

    topic: str
    partition: int
    start: int
    end: int


def prefix(topic: str, partition: int) -> str:
    """The common beginning of the workflow ids of a partition."""
    return f"ingest/{topic}/{partition}/"


def workflow_id(topic: str, partition: int, start: int, end: int) -> str:
    """The id of a range's workflow.

    The same range always has the same id, so Temporal starts its workflow once.
    """
    return f"{prefix(topic, partition)}{start}-{end}"


def range_of(workflow_id: str) -> Range | None:
    """The range of a workflow id; `None` for other workflows."""
    found = _ID.fullmatch(workflow_id)
    if found is None:
        return None
    return Range(found["topic"], int(found["partition"]), int(found["start"]), int(found["end"]))
