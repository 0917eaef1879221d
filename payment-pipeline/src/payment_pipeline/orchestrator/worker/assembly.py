"""Connects the worker to its stores and builds the Temporal worker.

More than one worker process may run; they share the task queue.
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
from payment_pipeline.orchestrator.worker.follow_ups import ReviewRules
from payment_pipeline.orchestrator.worker.scorer import Scorer
from payment_pipeline.orchestrator.workflows.ingest import IngestRange, QuarantineRange
from payment_pipeline.orchestrator.workflows.recovery import PaymentRecovery
from payment_pipeline.orchestrator.workflows.rescore import Rescore
from payment_pipeline.orchestrator.workflows.review import FraudReview
from payment_pipeline.rotating_secrets import RotatingSecrets
from payment_pipeline.settings import MissingSecretError, Settings

WORKFLOWS: Final = (IngestRange, QuarantineRange, Rescore, FraudReview, PaymentRecovery)

ACTIVITIES_MAX: Final = 6
"""Activities that run at a time, and as many local activities. All run on one core; together they
use the time that each waits for a store."""
CONNECTIONS_MAX: Final = 6
WORKFLOWS_CACHED_MAX: Final = 100
"""Open reviews and recoveries sleep for days; only this many workflows stay in memory."""
STICKY_TIMEOUT: Final = timedelta(seconds=1)
"""How long a workflow waits for the worker that had it in memory; then any worker may take it. This
time comes after the missed heartbeats of an activity or the timeout of a workflow task. Together
they must be less than 5 s, the limit for going on after a worker was killed."""
HEARTBEAT_INTERVAL_MAX: Final = timedelta(seconds=1)
"""By default the SDK sends heartbeats only every 2.4 s of the 3 s that they may be missing. A short
stall of the machine would then look like a dead worker."""
HEARTBEAT_S: Final = 1.0
"""Time before the first heartbeat and between heartbeats. A shorter activity sends none, because
each heartbeat is a request to the server."""
STOP_GRACE: Final = timedelta(seconds=10)
CONNECT_PAUSE_S: Final = 1.0

Connected = TypeVar("Connected")

log = structlog.get_logger()


@asynccontextmanager
async def resources(settings: Settings) -> AsyncIterator[tuple[Client, Activities]]:
    """Connect to Temporal and the stores; wait for those that are not up yet."""
    async with AsyncExitStack() as stack:
        # Retention deletes records whether the stores are up or not, so this starts first.
        watching = asyncio.create_task(worker_telemetry.keep_watching_retention(settings))
        stack.callback(watching.cancel)
        client = await _when_up(lambda: temporal.connect(settings))
        pool = await _when_up(
            lambda: postgres.pool(
                settings, size_max=CONNECTIONS_MAX, application="worker", service="worker"
            )
        )
        stack.push_async_callback(pool.close)
        tokens = RotatingSecrets(settings, "inference_token")
        session = await stack.enter_async_context(aiohttp.ClientSession())
        ranges = RangeReader(settings)
        stack.push_async_callback(ranges.close)
        rules = ReviewRules(
            settings.fraud_review_threshold,
            settings.fraud_review_timeout_s,
            Verdict(settings.fraud_review_on_timeout),
        )
        worker_telemetry.watch_pool(pool)
        names = [workflow.__name__ for workflow in WORKFLOWS]
        sampling = asyncio.create_task(worker_telemetry.keep_sampling(pool, client, names))
        stack.callback(sampling.cancel)
        scorer = Scorer(session, settings.inference, tokens)
        yield client, Activities(client, pool, ranges, scorer, rules)


def worker(client: Client, activities: Activities) -> Worker:
    """Build the worker of these activities and all workflows; the caller runs it."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        activities=activities.all(),
        # A sandbox for each workflow costs a fifth of the worker's time. The tests run the
        # workflows in the sandbox: docs/decisions/0030.
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[ActivityWrapper()],
        max_concurrent_activities=ACTIVITIES_MAX,
        max_concurrent_local_activities=ACTIVITIES_MAX,
        max_cached_workflows=WORKFLOWS_CACHED_MAX,
        max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL_MAX,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=STOP_GRACE,
        build_id=f"payment-pipeline-{version('payment-pipeline')}",
    )


async def _when_up(connect: Callable[[], Awaitable[Connected]]) -> Connected:
    """Connect, and try again until the store is up."""
    while True:
        try:
            return await connect()
        except MissingSecretError:
            raise
        except UserError as refusal:
            log.warning("not_up_yet", reason=str(refusal))
            await asyncio.sleep(CONNECT_PAUSE_S)


class ActivityWrapper(Interceptor):
    """Adds heartbeats, timing and safe error messages to every activity of a worker.

    Temporal keeps the message of a failure in its history, and the messages of PostgreSQL, JSON and
    pydantic quote their input. So only the type of an error leaves an activity; `telemetry` logs
    the rest without personal data.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap an activity; called by the SDK."""
        return _WrappedActivity(next)


class _WrappedActivity(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002 - the SDK's name
        info = activity.info()
        heartbeats = asyncio.create_task(_send_heartbeats()) if info.heartbeat_timeout else None
        began_s, result = perf_counter(), "failed"
        try:
            answer = await self.next.execute_activity(input)
            result = "done"
        except ApplicationError:
            raise
        except RangeExpiredError as error:
            log.error("range_lost", workflow_id=info.workflow_id, activity=info.activity_type)  # noqa: TRY400 - no frames
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
                perf_counter() - began_s
            )
            if heartbeats is not None:
                heartbeats.cancel()


async def _send_heartbeats() -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        activity.heartbeat()
