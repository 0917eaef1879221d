"""What does every activity have in common? A pulse, a clock, and failures that quote nobody's data.

A failure's message is kept in Temporal's history, and those of PostgreSQL, JSON and pydantic quote
what they choked on. So what leaves an activity is the failure's type, and the rest is logged by
`telemetry`, which knows what it may say.
"""

import asyncio
from time import perf_counter
from typing import Final

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from payment_pipeline.adapters.kafka_ranges import RangeExpiredError
from payment_pipeline.orchestrator import worker_metrics as metrics

BEAT_S: Final = 1.0
"""A step that is done before never beats: a beat is a request to the server."""

log = structlog.get_logger()


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
            metrics.ACTIVITIES.labels(info.activity_type, result).observe(perf_counter() - begun_s)
            if beat is not None:
                beat.cancel()


async def _beat() -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        activity.heartbeat()
