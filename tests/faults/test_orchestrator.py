"""No event is lost when the orchestrator's processes are killed or inference is down."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from local_stack import supervisor
from payment_pipeline.domain import topics
from payment_pipeline.settings import Settings
from support import processes
from support.normalized_events import COUNT, NOWHERE, charge, normalized, produce, rows, until

pytestmark = [pytest.mark.stack, pytest.mark.faults]


async def test_no_event_is_lost_when_processes_die_or_inference_is_down(
    fresh_stack: Callable[..., Settings],
) -> None:
    stack = fresh_stack("dispatcher", "worker", "inference")
    for name in ("dispatcher", "worker"):
        await killed_under_load(stack, name)
    await inference_away(stack)


async def killed_under_load(stack: Settings, name: str) -> None:
    """Every event is once in bronze and once in the features after the kills."""
    run = uuid4().hex[:8]
    for part in range(3):
        events = [charge(number, run, NOWHERE) for number in range(part * 50, part * 50 + 50)]
        await produce(stack, topics.NORMALIZED, normalized(events))
        killed = processes.kill(stack, name)
        await processes.wait_ready(stack, name, not_pid=killed)
    await until(lambda: rows(stack, COUNT, f"evt_{run}_%") == [(150,)])
    features = "SELECT events FROM entity_features WHERE entity_id = %s"
    assert rows(stack, features, f"platform/test/cus_{run}") == [(150,)]


async def inference_away(stack: Settings) -> None:
    """The row is written without scores, and gets its scores when inference is back."""
    run = uuid4().hex[:8]
    query = "SELECT inference_status FROM payment_events WHERE event_id = %s"
    supervisor.call(stack, "stopProcess", "inference", True)
    await produce(stack, topics.NORMALIZED, normalized([charge(0, run, NOWHERE)]))
    await until(lambda: rows(stack, query, f"evt_{run}_0") == [("unavailable",)])
    supervisor.start(stack, "inference")
    await until(lambda: rows(stack, query, f"evt_{run}_0") == [("scored",)])
