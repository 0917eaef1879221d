"""The worker's process: `python -m payment_pipeline.orchestrator.worker`."""

import asyncio

import structlog

from payment_pipeline import telemetry
from payment_pipeline.orchestrator.messages import TASK_QUEUE
from payment_pipeline.orchestrator.worker.assembly import resources, worker
from payment_pipeline.settings import load

log = structlog.get_logger()


async def main() -> None:
    """Run the worker until the process is stopped."""
    settings = load()
    telemetry.configure("worker", settings)
    running = False
    async with (
        telemetry.serve_probes(settings.worker_metrics_port, settings.host, lambda: running),
        resources(settings) as (client, activities),
        worker(client, activities),
    ):
        telemetry.calm_collector()
        running = True
        log.info("serving", task_queue=TASK_QUEUE)
        await asyncio.Event().wait()


if __name__ == "__main__":
    telemetry.run(main)
