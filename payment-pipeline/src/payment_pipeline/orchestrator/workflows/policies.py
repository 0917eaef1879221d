"""How long may each activity take, and how is it tried again?

A store that is down is waited for, without an end: a range that gives up would be a range lost.
What can't be mended by waiting (an expired range) is raised as non-retryable by the activity.
"""

from datetime import timedelta
from typing import Final, TypedDict

from temporalio.common import RetryPolicy


class ActivityOptions(TypedDict):
    """The options of `workflow.execute_activity` that a step here has."""

    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta | None
    retry_policy: RetryPolicy


BY_ACTIVITY: Final = "follow-ups by an activity"
"""The patch that histories of before bear, from when a child of its own was the other way."""

TASK_TIMEOUT: Final = timedelta(seconds=3)
"""Of a workflow's own steps: one that was under way when its worker was killed goes to another
worker after this, and not after Temporal's 10 s. A worker says in time that it is still at one that
takes longer."""

_UNTIL_DONE: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=2.0,
    # The store's return may go unseen for so long: less than the 5 s that a recovery may take.
    maximum_interval=timedelta(seconds=4),
)

ONCE: Final = RetryPolicy(maximum_attempts=1)
"""Of a step in its workflow's own task: what fails there is tried again as an activity."""

# Long ones beat, so that a worker's death costs the heartbeat's timeout and not the whole one.
_HEARTBEAT: Final = timedelta(seconds=3)

SCORE: Final = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=_HEARTBEAT,
    retry_policy=_UNTIL_DONE,
)
BATCH: Final = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=120),
    heartbeat_timeout=_HEARTBEAT,
    retry_policy=_UNTIL_DONE,
)
"""Storing a batch, in bronze or in quarantine, and starting what it leads to."""
RESCORE: Final = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=_HEARTBEAT,
    # Inference is what was down: ask again, at most once a minute.
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=2),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=60),
    ),
)
ONE_ROW: Final = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=15),
    heartbeat_timeout=None,
    retry_policy=_UNTIL_DONE,
)
"""Reading or writing a row of one payment."""
