"""Records the histories of today's workflows: `python tests/replay/record.py`.

It runs each path of each workflow on a real server with scripted activities. It records only paths
that have no file yet: a replaced history would no longer prove that older workflows go on with
today's code. To record a path again, delete its file when no such workflow is open anywhere. A file
whose path is not in `PATHS` was recorded by an older version.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from temporalio.client import Client, WorkflowHandle

from payment_pipeline.orchestrator.messages import (
    FollowUps,
    LateScores,
    PaymentNow,
    Refusal,
    ReviewAnswer,
)
from support.scripted import BATCH, Script, advice, persisted, recovery, review, running, server

HISTORIES: Final = Path(__file__).parent / "histories"

Handle = WorkflowHandle[Any, Any]


class Run(NamedTuple):
    """A worker for one workflow, and the script of its activities."""

    client: Client
    queue: str
    script: Script
    name: str

    async def start(self, kind: str, *arguments: object) -> Handle:
        """Start the workflow; return a handle of its first run."""
        handle = await self.client.start_workflow(
            kind, args=arguments, id=f"recorded/{self.name}", task_queue=self.queue
        )
        return self.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)

    async def last(self, first: Handle) -> Handle:
        """Wait for the workflow's end; return a handle of its last run."""
        await self.client.get_workflow_handle(first.id).result()
        return self.client.get_workflow_handle(first.id)


async def range_in_one_task(run: Run) -> Handle:
    return await run.last(await run.start("IngestRange", BATCH))


async def range_in_one_task_that_leads_on(run: Run) -> Handle:
    follow_ups = FollowUps([review(60)], [recovery(timedelta(hours=1))], rescore=True)
    run.script.persisted = persisted(
        [Refusal("webhooks.stripe.charge", 1, 7, "invalid", "why")], follow_ups
    )
    return await run.last(await run.start("IngestRange", BATCH))


async def range_that_waits_to_be_scored(run: Run) -> Handle:
    run.script.unscorable = 1
    return await run.last(await run.start("IngestRange", BATCH))


async def range_whose_follow_ups_wait(run: Run) -> Handle:
    run.script.unopenable = 1
    run.script.persisted = persisted(leads_to=FollowUps([review(60)]))
    return await run.last(await run.start("IngestRange", BATCH))


async def dead_letters(run: Run) -> Handle:
    return await run.last(await run.start("QuarantineRange", BATCH))


async def rescore(run: Run) -> Handle:
    run.script.late = [LateScores(2, "first", FollowUps([review(60)])), LateScores(1, "second")]
    return await run.last(await run.start("Rescore"))


async def review_approved(run: Run) -> Handle:
    open_one = await run.start("FraudReview", review(365 * 86400))
    await open_one.signal("approve", ReviewAnswer("reviewer", "known customer"))
    return await run.last(open_one)


async def review_timed_out(run: Run) -> Handle:
    return await run.last(await run.start("FraudReview", review(1)))


async def recovery_recovered(run: Run) -> Handle:
    again = PaymentNow(failed_again=True, advice=advice(timedelta(days=3), "evt_2"))
    run.script.payments = [PaymentNow(), again, PaymentNow(), PaymentNow(succeeded=True)]
    return await run.last(await run.start("PaymentRecovery", recovery(timedelta(days=2))))


async def recovery_that_was_delayed(run: Run) -> Handle:
    run.script.payments = [PaymentNow(), PaymentNow(), PaymentNow(succeeded=True)]
    delayed = replace(recovery(timedelta(days=2)), is_delayed=True)
    return await run.last(await run.start("PaymentRecovery", delayed))


async def recovery_not_retried(run: Run) -> Handle:
    return await run.last(await run.start("PaymentRecovery", recovery(timedelta(hours=1))))


async def recovery_exhausted(run: Run) -> Handle:
    run.script.payments = [PaymentNow(failed_again=True)]
    return await run.last(await run.start("PaymentRecovery", recovery(timedelta(hours=1))))


PATHS: Final = (
    range_in_one_task,
    range_in_one_task_that_leads_on,
    range_that_waits_to_be_scored,
    range_whose_follow_ups_wait,
    dead_letters,
    rescore,
    review_approved,
    review_timed_out,
    recovery_recovered,
    recovery_that_was_delayed,
    recovery_not_retried,
    recovery_exhausted,
)


async def record(path: Callable[[Run], Awaitable[Handle]], client: Client) -> str:
    """Return the history of one workflow that took this path, as JSON."""
    script = Script()
    async with running(client, script) as queue:
        handle = await path(Run(client, queue, script, path.__name__))
        stored = (await handle.fetch_history()).to_json()
    return re.sub(r"\d+@[^\"]+", "recorder", stored)  # instead of the process and the machine


async def main() -> None:
    """Record the paths that have no file yet."""
    HISTORIES.mkdir(exist_ok=True)
    async with server() as environment:
        for path in PATHS:
            file = HISTORIES / f"{path.__name__}.json"
            # A skipped clock would time out the review before its answer.
            needs_answer = path is review_approved
            with environment.with_time_skipping_disabled() if needs_answer else nullcontext():
                if not file.exists():
                    file.write_text(await record(path, environment.client))


if __name__ == "__main__":
    asyncio.run(main())
