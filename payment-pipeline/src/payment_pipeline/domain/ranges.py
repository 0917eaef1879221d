"""What is the workflow of a range of offsets called, and of which range is a workflow?"""

import re
from typing import Final, NamedTuple

# What follows an @ tells a range from one of the same offsets in a log that was wiped.
_ID: Final = re.compile(
    r"ingest/(?P<topic>.+)/(?P<partition>\d+)/(?P<start>\d+)-(?P<end>\d+)(@\d+)?"
)


class Range(NamedTuple):
    """Offsets of one partition, `start` included, `end` not."""

    topic: str
    partition: int
    start: int
    end: int


def prefix(topic: str, partition: int) -> str:
    """How the ids of a partition's ranges begin."""
    return f"ingest/{topic}/{partition}/"


def workflow_id(topic: str, partition: int, start: int, end: int) -> str:
    """Deterministic, so that a range is started once however often it is dispatched."""
    return f"{prefix(topic, partition)}{start}-{end}"


def range_of(workflow_id: str) -> Range | None:
    """The range of a workflow, if it is a range's."""
    found = _ID.fullmatch(workflow_id)
    if found is None:
        return None
    return Range(found["topic"], int(found["partition"]), int(found["start"]), int(found["end"]))
