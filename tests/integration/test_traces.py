"""One trace covers an event from its POST to its row, and holds no personal data.

The shared stack samples none of its own traces, only those that a request asks for.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from drills.span_collector import Collector, ReceivedSpan, collector
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.signing import signature

pytestmark = pytest.mark.stack

CANARY = "canary-person@example.com"


@pytest.fixture(scope="module")
def spans(stack: Settings) -> Iterator[Collector]:
    port = urlsplit(stack.otlp_endpoint or "").port
    assert port, "the shared stack has a collector's address"
    with collector(port) as listening:
        yield listening


async def traced(
    spans: Collector, trace: str, complete: Callable[[list[ReceivedSpan]], bool]
) -> list[ReceivedSpan]:
    """The spans of a trace, as soon as they are complete."""
    return await asyncio.to_thread(spans.trace, trace, complete)


def charge(event_id: str, **changes: object) -> bytes:
    """A captured card payment, with a person's data where Stripe has it."""
    subject = {
        "id": f"ch_{event_id}",
        "object": "charge",
        "amount": 1200,
        "amount_captured": 1200,
        "amount_refunded": 0,
        "captured": True,
        "currency": "eur",
        "created": int(time.time()),
        "payment_intent": f"pi_{event_id}",
        "customer": "cus_canary",
        "paid": True,
        "refunded": False,
        "disputed": False,
        "status": "succeeded",
        "receipt_email": CANARY,
        "billing_details": {"email": CANARY, "name": CANARY},
        **changes,
    }
    return json.dumps(
        {
            "id": event_id,
            "object": "event",
            "type": "charge.succeeded",
            "api_version": "2024-06-20",
            "created": int(time.time()),
            "livemode": False,
            "pending_webhooks": 1,
            "request": None,
            "data": {"object": subject},
        }
    ).encode()


async def post(stack: Settings, body: bytes, traceparent: str | None) -> None:
    secret = stack.signing_secrets(providers()["stripe"])[0]
    headers = {
        "content-type": "application/json",
        "stripe-signature": signature(body, secret, int(time.time())),
        **({"traceparent": traceparent} if traceparent else {}),
    }
    url = f"http://{stack.host}:{stack.gateway_port}/webhooks/stripe"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers) as answer,
    ):
        assert answer.status == 200


async def row(stack: Settings, table: str, event_id: str) -> asyncpg.Record:
    """The event's row, as soon as it is there."""
    connection = await asyncpg.connect(stack.dsn)
    try:
        async with asyncio.timeout(60):
            while True:
                found = await connection.fetchrow(
                    f"SELECT traceparent, workflow_id FROM {table} WHERE event_id = $1", event_id
                )
                if found is not None:
                    return found
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def test_one_trace_leads_from_the_webhook_to_the_row(
    stack: Settings, spans: Collector
) -> None:
    event_id, trace = f"evt_{secrets.token_hex(8)}", secrets.token_hex(16)
    caller = secrets.token_hex(8)
    await post(stack, charge(event_id), f"00-{trace}-{caller}-01")
    names = {"POST /webhooks/stripe", "normalize", "score", "write bronze"}
    found = await traced(spans, trace, lambda spans: {span.name for span in spans} >= names)
    by_name = {span.name: span for span in found}
    assert len(found) == len(by_name) == len(names), "each stage once"
    receipt = by_name["POST /webhooks/stripe"]
    assert receipt.parent_id == caller
    stored = await row(stack, "payment_events", event_id)
    assert stored["traceparent"] == f"00-{trace}-{receipt.span_id}-01"
    later = [span for span in found if span is not receipt]
    assert {span.parent_id for span in later} == {receipt.span_id}
    assert {span.attributes["payments.event_id"] for span in found} == {event_id}
    assert {span.service for span in found} == {
        "payments-gateway",
        "payments-normalizer",
        "payments-worker",
    }
    written = by_name["write bronze"]
    assert written.attributes["payments.outcome"] == "inserted"
    assert written.attributes["payments.workflow_id"] == stored["workflow_id"]
    assert not any(span.failed for span in found)


async def test_its_link_leads_to_the_ranges_trace_through_temporal_and_inference(
    stack: Settings, spans: Collector
) -> None:
    trace = secrets.token_hex(16)
    await post(stack, charge(f"evt_{secrets.token_hex(8)}"), f"00-{trace}-{'1' * 16}-01")
    found = await traced(
        spans, trace, lambda spans: "write bronze" in [each.name for each in spans]
    )
    (range_trace,) = next(each for each in found if each.name == "write bronze").links
    steps = {
        ("payments-dispatcher", "StartWorkflow:IngestRange"),
        ("payments-worker", "RunWorkflow:IngestRange"),
        ("payments-worker", "RunActivity:score_range"),
        ("payments-inference", "POST /v1/score"),
        ("payments-worker", "RunActivity:persist_range"),
    }
    await traced(
        spans, range_trace, lambda spans: {(each.service, each.name) for each in spans} >= steps
    )


async def test_a_dead_letters_trace_ends_in_the_quarantine(
    stack: Settings, spans: Collector
) -> None:
    event_id, trace = f"evt_{secrets.token_hex(8)}", secrets.token_hex(16)
    await post(stack, charge(event_id, amount="many"), f"00-{trace}-{'1' * 16}-01")
    names = {"POST /webhooks/stripe", "normalize", "quarantine"}
    found = await traced(spans, trace, lambda spans: {span.name for span in spans} >= names)
    by_name = {span.name: span for span in found}
    assert by_name["normalize"].attributes["payments.outcome"] == "rejected"
    failure = by_name["normalize"].attributes["payments.failure"]
    assert by_name["quarantine"].attributes["payments.failure"] == failure == "invalid"
    stored = await row(stack, "payment_events_quarantine", event_id)
    assert stored["traceparent"] == f"00-{trace}-{by_name['POST /webhooks/stripe'].span_id}-01"


async def test_what_is_not_sampled_is_in_no_span_and_its_row_says_so(
    stack: Settings, spans: Collector
) -> None:
    event_id = f"evt_{secrets.token_hex(8)}"
    await post(stack, charge(event_id), None)
    stored = await row(stack, "payment_events", event_id)
    assert int(stored["traceparent"][-2:], 16) & 1 == 0
    assert event_id not in {span.attributes.get("payments.event_id") for span in spans.spans}


async def test_no_span_says_anything_of_a_person(stack: Settings, spans: Collector) -> None:
    trace = secrets.token_hex(16)
    await post(stack, charge(f"evt_{secrets.token_hex(8)}"), f"00-{trace}-{'1' * 16}-01")
    await traced(spans, trace, lambda spans: "write bronze" in [each.name for each in spans])
    said = "".join(span.raw for span in spans.spans)
    assert "canary" not in said
