"""Later events about an erased person's objects get the token."""

from typing import Any

import asyncpg
import pytest

from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.corrections import _compared
from payment_pipeline.bronze.erased import objects_of, with_tokens
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain.events import Charge
from support.normalized_events import NOWHERE, charge

TOKEN = "erased_0123"


class Pool:
    """Knows the objects of one erased person, or of nobody."""

    def __init__(self, *objects: str) -> None:
        self.objects = objects
        self.asked = 0

    async def fetchval(self, _query: str) -> bool:
        return bool(self.objects)

    async def fetch(self, _query: str, providers: list[str], ids: list[str]) -> list[Any]:
        self.asked += 1
        wanted = zip(providers, ids, strict=True)
        return [(provider, each, TOKEN) for provider, each in wanted if each in self.objects]


async def stored(pool: Pool, row: ScoredEvent) -> ScoredEvent:
    found: asyncpg.Pool = pool
    (ended,) = await with_tokens(found, [row])
    return ended


@pytest.fixture
def row() -> ScoredEvent:
    event = charge(1, "cus_jane", NOWHERE)
    assert event.customer_id
    return ScoredEvent(event, None, InferenceStatus.NOT_APPLICABLE)


async def test_nobody_erased_costs_one_question(row: ScoredEvent) -> None:
    pool = Pool()
    assert await stored(pool, row) is row
    assert pool.asked == 0


async def test_a_known_object_brings_the_token_and_takes_the_card(row: ScoredEvent) -> None:
    event = (await stored(Pool(objects_of(row.event)[0]), row)).event
    assert isinstance(event, Charge)
    assert isinstance(row.event, Charge)
    assert event.customer_id == TOKEN
    assert event.payment_method
    assert event.payment_method.card_hash is None
    kept = {"customer_id": row.event.customer_id, "payment_method": row.event.payment_method}
    assert event.model_copy(update=kept) == row.event, "nothing else changes"


async def test_an_event_about_the_customer_alone_is_somebody_new(row: ScoredEvent) -> None:
    assert (await stored(Pool("pi_of_another"), row)).event == row.event


async def test_a_batch_of_customers_alone_is_stored_as_it_is(row: ScoredEvent) -> None:
    about = dict.fromkeys(("payment_id", "object_id", "charge_id", "invoice_id"))
    alone = row._replace(event=row.event.model_copy(update=about))
    assert not objects_of(alone.event)
    assert await stored(Pool("pi_of_another"), alone) is alone


async def test_an_event_that_names_nobody_goes_on_naming_nobody(row: ScoredEvent) -> None:
    nameless = row._replace(event=row.event.model_copy(update={"customer_id": None}))
    event = (await stored(Pool(objects_of(row.event)[0]), nameless)).event
    assert event.customer_id is None


def test_a_correction_names_nobody_again(row: ScoredEvent) -> None:
    event = row.event
    identity = event.identity_sha256
    stored = {
        "body_sha256": event.body_sha256,
        "identity_sha256": identity,
        "customer_id": TOKEN,
    }
    found = _compared([event], {row.key: stored})
    assert (found.unchanged, found.corrections) == ([event], [])
