"""Timeouts and retry policies of the activities.

A workflow waits without limit for a store that is down: a range that gives up would be a lost
range. An activity raises errors that waiting cannot solve (an expired range) as non-retryable.
"""

from datetime import timedelta
from typing import Final, TypedDict

from temporalio.common import RetryPolicy


class ActivityOptions(TypedDict):
    """The options of `workflow.execute_activity` that the workflows set."""

    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta | None
    retry_policy: RetryPolicy


BY_ACTIVITY: Final = "follow-ups by an activity"
"""Patch id in histories recorded when follow-ups were child workflows."""

TASK_TIMEOUT: Final = timedelta(seconds=3)
"""Timeout of a workflow task. When a worker is killed in a task, another worker gets the task after
this time; Temporal's default is 10 s. A worker that needs longer for a task tells the server so
before the timeout."""

_UNTIL_DONE: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=2.0,
    # An activity may notice only after this time that a store is back. The limit for going on after
    # an outage is 5 s.
    maximum_interval=timedelta(seconds=4),
)

ONCE: Final = RetryPolicy(maximum_attempts=1)
"""For a local activity: if it fails, the workflow runs it as an activity."""

# Long activities send heartbeats, so that a dead worker costs this time and not the whole timeout.
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
"""For writing a batch to bronze or quarantine, and for starting its follow-ups."""
RESCORE: Final = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=_HEARTBEAT,
    # Inference was down: ask again, at most once a minute.
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
"""For reading or writing a row of one payment."""
