"""Tests that an erasure in bronze changes the rows of the person, and none of longer ids."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest
from aiokafka import TopicPartition

from payment_pipeline.bronze import corrections, decisions, refold, writer
from payment_pipeline.bronze.decisions import Decision
from payment_pipeline.bronze.erased import STAND_IN
from payment_pipeline.domain.events import Charge
from payment_pipeline.erasure import erased_rows
from support.bronze_events import events, scored
from support.bronze_letters import letter
from support.mentions_of_jane import HERS, JANE, OTHERS
from support.people import person

pytestmark = pytest.mark.stack

CLOSE = """
UPDATE payment_events_quarantine
SET resolution = 'dismissed', resolved_at = clock_timestamp(), resolved_by = 'test'
"""


async def bodies(pool: asyncpg.Pool) -> list[bytes]:
    rows = await pool.fetch("SELECT body FROM payment_events_quarantine ORDER BY source_offset")
    return [row["body"] for row in rows]


async def test_dead_letters_of_people_with_a_longer_id_stay(bronze: asyncpg.Pool) -> None:
    given = [text.encode() for text in (*HERS, *OTHERS)]
    letters = [letter(offset, body) for offset, body in enumerate(given)]
    await writer.quarantine(bronze, letters, "wf")
    await bronze.execute(CLOSE)
    jane = person(JANE)
    async with bronze.acquire() as connection:
        assert await erased_rows.find(connection, jane) == {"payment_events_quarantine": len(HERS)}
        await erased_rows.erase(connection, jane)
        assert await erased_rows.find(connection, jane) == {}
    assert await bodies(bronze) == [*([b""] * len(HERS)), *given[len(HERS) :]]


async def test_dead_letters_about_a_longer_object_id_stay(bronze: asyncpg.Pool) -> None:
    given = [b'{"payment_intent": "pi_1"}', b'{"payment_intent": "pi_12"}']
    await writer.quarantine(bronze, [letter(n, body) for n, body in enumerate(given)], "wf")
    await bronze.execute(CLOSE)
    async with bronze.acquire() as connection:
        await erased_rows.erase(connection, person(JANE, "pi_1"))
    assert await bodies(bronze) == [b"", given[1]]


async def test_an_open_dead_letter_is_named_and_keeps_its_body(bronze: asyncpg.Pool) -> None:
    hers, others = (f'{{"customer": "{customer}"}}'.encode() for customer in (JANE, "cus_john"))
    await writer.quarantine(bronze, [letter(0, hers)], "wf")
    await bronze.execute(CLOSE)
    await writer.quarantine(bronze, [letter(1, hers), letter(2, others)], "wf")
    jane = person(JANE)
    async with bronze.acquire() as connection:
        (named,) = await erased_rows.open_letters(connection, jane, {})
        await erased_rows.erase(connection, jane)
        assert await erased_rows.find(connection, jane) == {"payment_events_quarantine": 1}
        assert await bodies(bronze) == [b"", hers, others]
        assert (
            await bronze.fetchval(
                "SELECT source_offset FROM payment_events_quarantine WHERE id = $1", named
            )
            == 1
        )
        await bronze.execute(CLOSE)
        assert await erased_rows.open_letters(connection, jane, {}) == []
        await erased_rows.erase(connection, jane)
    assert await bodies(bronze) == [b"", b"", others]


async def test_an_open_dead_letter_is_named_if_the_cut_would_delete_its_body(
    bronze: asyncpg.Pool,
) -> None:
    """The body is only on the topic, because it is too large. It may be about any person."""
    large = [letter(n, b"", body_sha256="f" * 64) for n in (6, 7)]
    await writer.quarantine(bronze, [*large, letter(1), letter(2, b"")], "wf")
    place = TopicPartition("webhooks.stripe.charge", 0)
    async with bronze.acquire() as connection:
        jane = person(JANE)
        named = await erased_rows.open_letters(connection, jane, {place: 7})
        elsewhere = TopicPartition("webhooks.stripe.charge", 1)
        assert await erased_rows.open_letters(connection, jane, {elsewhere: 7}) == []
    ids = "SELECT id FROM payment_events_quarantine WHERE source_offset = 6"
    assert named == [await bronze.fetchval(ids)]


def paid(customer: str = JANE, card: str = "card-of-today") -> Charge:
    charge = next(each for each in events(2_000) if isinstance(each, Charge) and each.payment_id)
    assert charge.payment_method
    method = charge.payment_method.model_copy(update={"card_hash": card})
    return charge.model_copy(update={"customer_id": customer, "payment_method": method})


async def erase(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await erased_rows.erase(connection, await erased_rows.known_by(connection, person(JANE)))


@pytest.mark.parametrize("refolded", [True, False], ids=["refolded", "a replay that died"])
async def test_a_card_from_before_a_correction_is_erased_too(
    bronze: asyncpg.Pool, *, refolded: bool
) -> None:
    await writer.write(bronze, [scored(paid(card="card-of-before"))], "wf")
    assert await corrections.correct(bronze, [paid()], "replay/test")
    if refolded:
        await refold.refold(bronze)

    await erase(bronze)
    await refold.refold(bronze)

    for table in (*erased_rows.EVENTS_TABLES, "entity_features", "entity_features_due"):
        named = f"SELECT each::text FROM {table} AS each WHERE each::text ~ $1"
        assert not await bronze.fetch(named, "card-of-|cus_jane"), table
    assert await bronze.fetchval("SELECT count(*) FROM payment_events_history") == 1


def decided(number: int = 1) -> Decision:
    event = paid()
    assert event.payment_id
    return Decision(
        workflow_id=f"review/{number}",
        step=1,
        kind="review",
        provider=event.provider,
        payment_id=event.payment_id,
        event_id=event.event_id,
        customer_id=JANE,
        merchant_id=None,
        outcome="approved",
        decided_at=datetime(2026, 7, 1, tzinfo=UTC),
        fraud_score=0.5,
        strategy=None,
        due_at=None,
        attempts_left=None,
        decided_by="test",
        note="Jane has called.",
    )


async def test_decisions_after_an_erasure_get_the_token(bronze: asyncpg.Pool) -> None:
    await writer.write(bronze, [scored(paid())], "wf")
    await erase(bronze)
    other = decided(3)._replace(payment_id="pi_other", customer_id="cus_john")
    nameless = decided(2)._replace(customer_id=None)
    await decisions.record(bronze, [decided(), nameless, other])
    token = await bronze.fetchval("SELECT customer_id FROM payment_events")
    assert token.startswith(STAND_IN)
    rows = await bronze.fetch("SELECT customer_id, note FROM payment_decisions ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (token, None), (None, None), ("cus_john", "Jane has called."),
    ]  # fmt: skip


async def test_an_erasure_waits_for_a_decision_in_progress(bronze: asyncpg.Pool) -> None:
    await writer.write(bronze, [scored(paid())], "wf")
    async with bronze.acquire() as worker:
        transaction = worker.transaction()
        await transaction.start()
        await worker.execute(decisions.SQL["record"], *decided())
        erasing = asyncio.create_task(erase(bronze))
        done, _ = await asyncio.wait([erasing], timeout=0.5)
        assert not done
        await transaction.commit()
    await erasing
    assert not await bronze.fetch("SELECT FROM payment_decisions WHERE customer_id = $1", JANE)


async def test_a_decision_waits_for_an_erasure_in_progress(bronze: asyncpg.Pool) -> None:
    remembers = "INSERT INTO erased_objects VALUES ('stripe', $1, 'erased_0123')"
    async with bronze.acquire() as eraser, eraser.transaction():
        await eraser.execute(erased_rows.SQL["lock_decisions"])
        deciding = asyncio.create_task(decisions.record(bronze, [decided()]))
        done, _ = await asyncio.wait([deciding], timeout=0.5)
        assert not done
        await eraser.execute(remembers, decided().payment_id)
    await deciding
    assert await bronze.fetchval("SELECT customer_id FROM payment_decisions") == "erased_0123"
