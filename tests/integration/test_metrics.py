"""The metrics that each stage serves, compared with the table."""

import asyncio

import aiohttp
import pytest

from payment_operations.metrics_table import metrics
from payment_pipeline.settings import Settings

pytestmark = pytest.mark.stack

PORTS = {
    "gateway": "gateway_metrics_port",
    "normalizer": "normalizer_metrics_port",
    "dispatcher": "dispatcher_metrics_port",
    "worker": "worker_metrics_port",
    "inference": "inference_port",
}
SAMPLED_WITHIN_S = 60


async def page(stack: Settings, service: str) -> str:
    url = f"http://{stack.host}:{getattr(stack, PORTS[service])}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


@pytest.mark.parametrize("service", PORTS)
async def test_a_stage_serves_only_its_own_metrics(stack: Settings, service: str) -> None:
    served = await page(stack, service)
    for owner, owned in metrics().items():
        for each in owned:
            described = f"# TYPE {each.name} {each.type}" in served
            assert described == (owner in (service, "every process")), each.name
    assert f'payments_build_info{{service="{service}"' in served


async def test_the_worker_counts_the_workflows_of_each_type(stack: Settings) -> None:
    async with asyncio.timeout(SAMPLED_WITHIN_S):
        while "payments_worker_workflows{" not in await page(stack, "worker"):
            await asyncio.sleep(0.5)
    served = await page(stack, "worker")
    for workflow in ("IngestRange", "FraudReview", "PaymentRecovery"):
        for status in ("running", "failed"):
            assert f'{{status="{status}",workflow="{workflow}"}}' in served
    assert 'payments_worker_pool_connections{state="idle"}' in served
