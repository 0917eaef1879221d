"""Normalized events that tests write to topics, and helpers that wait for the outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256

import psycopg

from payment_pipeline.adapters import kafka
from payment_pipeline.domain import headers as names
from payment_pipeline.domain.event_parts import PaymentMethod
from payment_pipeline.domain.events import PAYMENT_EVENT, Charge
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.settings import Settings

PATIENCE_S = 60.0
COUNT = "SELECT count(*) FROM payment_events WHERE event_id LIKE %s"


def rows(settings: Settings, query: str, *arguments: object) -> list[tuple[object, ...]]:
    with psycopg.connect(settings.dsn) as connection:
        return connection.execute(query, arguments).fetchall()


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.1)


def charge(number: int, run: str, source: Coordinates, body: bytes = b"{}") -> Charge:
    now = datetime.now(UTC)
    return Charge(
        event_type="charge.succeeded",
        provider_event_type="charge.succeeded",
        provider="stripe",
        event_id=f"evt_{run}_{number}",
        occurred_at=now,
        received_at=now,
        livemode=False,
        customer_id=f"cus_{run}",
        payment_id=f"pi_{run}_{number}",
        object_id=f"ch_{run}_{number}",
        status="succeeded",
        provider_status="succeeded",
        amount_captured_minor=1999,
        amount_minor=1999,
        currency="EUR",
        currency_exponent=2,
        body_sha256=sha256(body).hexdigest(),
        source=source,
        normalizer_version="test",
        payment_method=PaymentMethod(type="card", card_hash=f"{run}{number}"),
    )


async def produce(settings: Settings, topic: str, values: Sequence[bytes]) -> list[Coordinates]:
    """Write records to one partition, which keeps their order, and return their coordinates."""
    headers = [
        (names.CE_SOURCE, b"/webhooks/stripe"),
        (names.VERDICT, b"verified:stripe:9f2c1a"),
        (names.REASON, b"not_json"),
    ]
    async with kafka.producer(settings) as producer:
        sent = [await producer.send(topic, value, partition=0, headers=headers) for value in values]
        found = await asyncio.gather(*sent)
    return [Coordinates(topic=topic, partition=0, offset=each.offset) for each in found]


def normalized(events: Sequence[Charge]) -> list[bytes]:
    return [PAYMENT_EVENT.dump_json(event, exclude_none=True) for event in events]


NOWHERE = Coordinates(topic="webhooks.stripe.charge", partition=0, offset=0)
