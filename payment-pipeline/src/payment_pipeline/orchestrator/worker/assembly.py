"""Who runs the workflows and the activities? This process does, as many of it as are started.

Run it: `python -m payment_pipeline.orchestrator.worker`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from time import perf_counter
from typing import Final, TypeVar

import aiohttp
import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
    Worker,
)

from payment_pipeline.adapters import postgres, temporal
from payment_pipeline.adapters.kafka_ranges import RangeExpiredError, RangeReader
from payment_pipeline.domain.failures import UserError
from payment_pipeline.orchestrator.messages import TASK_QUEUE, Verdict
from payment_pipeline.orchestrator.worker import worker_telemetry
from payment_pipeline.orchestrator.worker.activities import Activities
from payment_pipeline.orchestrator.worker.follow_ups import Rules
from payment_pipeline.orchestrator.worker.scorer import Scorer
from payment_pipeline.orchestrator.workflows.ingest import IngestRange, QuarantineRange
from payment_pipeline.orchestrator.workflows.recovery import PaymentRecovery
from payment_pipeline.orchestrator.workflows.rescore import Rescore
from payment_pipeline.orchestrator.workflows.review import FraudReview
from payment_pipeline.settings import MissingSecretError, Settings

WORKFLOWS: Final = (IngestRange, QuarantineRange, Rescore, FraudReview, PaymentRecovery)

ACTIVITIES_MAX: Final = 6
"""At a time, and as many in their workflows' own tasks. One core does them all; what is gained is
the waiting for the stores."""
CONNECTIONS_MAX: Final = 6
WORKFLOWS_CACHED_MAX: Final = 100
"""Open reviews and recoveries sleep for days: they need not sleep in memory."""
STICKY_TIMEOUT: Final = timedelta(seconds=1)
"""How long a workflow waits for a worker that was killed before another one may have it: on top of
the activity's missed heartbeats, or of its own task's timeout, and both are to be over 5 s after
the restart."""
BEATS_APART_MAX: Final = timedelta(seconds=1)
"""The SDK would pass beats on only every 2.4 s of the 3 that they may stay out: a busy moment of a
machine would look like a death."""
STOP_GRACE: Final = timedelta(seconds=10)
CONNECT_PAUSE_S: Final = 1.0

Connected = TypeVar("Connected")

log = structlog.get_logger()


@asynccontextmanager
async def resources(settings: Settings) -> AsyncIterator[tuple[Client, Activities]]:
    """Everything that the worker is connected to; waits for what isn't up yet."""
    async with AsyncExitStack() as stack:
        # Kafka's retention waits for no store: watched while this one waits, too.
        watching = asyncio.create_task(worker_telemetry.keep_watching_retention(settings))
        stack.callback(watching.cancel)
        client = await _when_up(lambda: temporal.connect(settings))
        pool = await _when_up(
            lambda: postgres.pool(
                settings, size_max=CONNECTIONS_MAX, application="worker", service="worker"
            )
        )
        stack.push_async_callback(pool.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        ranges = RangeReader(settings)
        stack.push_async_callback(ranges.close)
        rules = Rules(
            settings.fraud_review_threshold,
            settings.fraud_review_timeout_s,
            Verdict(settings.fraud_review_on_timeout),
        )
        worker_telemetry.watch_pool(pool)
        names = [workflow.__name__ for workflow in WORKFLOWS]
        sampling = asyncio.create_task(worker_telemetry.keep_sampling(pool, client, names))
        stack.callback(sampling.cancel)
        scorer = Scorer(session, settings.inference)
        yield client, Activities(client, pool, ranges, scorer, rules)


def worker(client: Client, activities: Activities) -> Worker:
    """The worker of these activities and of all workflows; not yet running."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        activities=activities.all(),
        workflow_runner=UnsandboxedWorkflowRunner(),  # tests have the sandbox: orchestrator.sandbox
        interceptors=[Steps()],
        max_concurrent_activities=ACTIVITIES_MAX,
        max_concurrent_local_activities=ACTIVITIES_MAX,
        max_cached_workflows=WORKFLOWS_CACHED_MAX,
        max_heartbeat_throttle_interval=BEATS_APART_MAX,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=STOP_GRACE,
        build_id=f"payment-pipeline-{version('payment-pipeline')}",
    )


async def _when_up(connect: Callable[[], Awaitable[Connected]]) -> Connected:
    """Wait for a store that isn't up: a worker that gives up would have to be started again."""
    while True:
        try:
            return await connect()
        except MissingSecretError:
            raise
        except UserError as refusal:
            log.warning("not_up_yet", reason=str(refusal))
            await asyncio.sleep(CONNECT_PAUSE_S)


BEAT_S: Final = 1.0
"""A step that is done before never beats: a beat is a request to the server."""


class Steps(Interceptor):
    """Put `_Step` around every activity of a worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """The SDK's hook."""
        return _Step(next)


class _Step(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002 - the SDK's name
        info = activity.info()
        beat = asyncio.create_task(_beat()) if info.heartbeat_timeout else None
        begun_s, result = perf_counter(), "failed"
        try:
            answer = await self.next.execute_activity(input)
            result = "done"
        except ApplicationError:
            raise
        except RangeExpiredError as error:
            log.error("range_lost", workflow_id=info.workflow_id, activity=info.activity_type)  # noqa: TRY400 - its text says all
            raise ApplicationError(str(error), type="RangeExpired", non_retryable=True) from None
        except Exception as error:
            log.warning(
                "activity_failed",
                workflow_id=info.workflow_id,
                activity=info.activity_type,
                attempt=info.attempt,
                exc_info=True,
            )
            kind = type(error).__name__
            raise ApplicationError(f"{info.activity_type}: {kind}", type=kind) from None
        else:
            return answer
        finally:
            worker_telemetry.ACTIVITIES.labels(info.activity_type, result).observe(
                perf_counter() - begun_s
            )
            if beat is not None:
                beat.cancel()


async def _beat() -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        activity.heartbeat()
