"""Every event is in bronze once with exact features: duplicates, late and broken events too."""

import asyncio
import random

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payment_pipeline.bronze import bronze_reader, feature_states, writer
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain.events import Charge, PaymentEvent
from payment_pipeline.domain.features import EntityKey, EntityState
from support.bronze_events import events, folded, scored, unscored

pytestmark = pytest.mark.stack

OTHER_SHA = "f" * 64
IDENTITY = "e" * 64
WORKFLOW = "ingest/payments.normalized/0/0-100"
WAITING = "SELECT pid FROM pg_locks WHERE relation = 'entity_features'::regclass AND NOT granted"


def batch(count: int) -> list[ScoredEvent]:
    return [scored(event) for event in events(count)]


def changed(row: ScoredEvent, **fields: object) -> ScoredEvent:
    """A row that no validation has seen: what a defect upstream would let through."""
    return row._replace(event=row.event.model_copy(update=fields))


async def states(pool: asyncpg.Pool) -> dict[EntityKey, EntityState]:
    return feature_states.to_states(await pool.fetch("SELECT * FROM entity_features"))


async def stored(pool: asyncpg.Pool, row: ScoredEvent) -> asyncpg.Record:
    return await pool.fetchrow("SELECT * FROM payment_events WHERE event_id = $1", row.key.event_id)


async def stored_ids(pool: asyncpg.Pool) -> list[str]:
    return [row[0] for row in await pool.fetch("SELECT event_id FROM payment_events")]


def ids(rows: list[ScoredEvent]) -> list[str]:
    return sorted(row.event.event_id for row in rows)


def of(rows: list[ScoredEvent]) -> list[PaymentEvent]:
    return [row.event for row in rows]


async def test_batch_is_written_with_its_features(bronze: asyncpg.Pool) -> None:
    rows = batch(300)
    written = await writer.write(bronze, rows, WORKFLOW)
    assert ids(written.inserted) == ids(rows)
    assert written[1:] == ([], [], [])
    assert sorted(await stored_ids(bronze)) == ids(rows)
    assert await states(bronze) == folded(of(rows))


async def test_row_says_what_the_event_said(bronze: asyncpg.Pool) -> None:
    row = next(row for row in batch(300) if isinstance(row.event, Charge))
    await writer.write(bronze, [row], WORKFLOW)
    found = await stored(bronze, row)
    assert found["amount_minor"] == row.event.amount_minor
    assert found["received_at"] == row.event.received_at
    assert row.scores is not None
    given = row.scores.model_dump(mode="json", exclude={"event_id"}, exclude_none=True)
    assert found["fraud_score"] == given["fraud_score"]["value"]
    assert found["scores"] == given
    assert found["workflow_id"] == WORKFLOW
    assert found["attributes"]["payment_method"]["brand"]
    assert found["ingested_at"] > row.event.received_at


async def test_same_call_again_changes_nothing_and_answers_the_same(bronze: asyncpg.Pool) -> None:
    rows = batch(200)
    twice = [*rows, *rows[:30], changed(rows[0], body_sha256=OTHER_SHA)]
    first = await writer.write(bronze, twice, WORKFLOW)
    before = await states(bronze)
    again = await writer.write(bronze, twice, WORKFLOW)
    assert again == first
    assert len(first.duplicates) == 30
    assert [row.event.body_sha256 for row in first.conflicts] == [OTHER_SHA]
    assert await states(bronze) == before == folded(of(rows))


DELIVERIES = st.lists(st.lists(st.integers(0, 59), min_size=1, max_size=40), min_size=1, max_size=8)
"""Batches of events by their number: in any order, any of them any number of times."""


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(deliveries=DELIVERIES)
async def test_however_events_are_repeated_shuffled_and_cut_each_is_there_once(
    bronze: asyncpg.Pool, deliveries: list[list[int]]
) -> None:
    await bronze.execute("TRUNCATE payment_events, entity_features")
    rows = batch(60)
    inserted: list[ScoredEvent] = []
    for number, delivered in enumerate(deliveries):
        written = await writer.write(bronze, [rows[one] for one in delivered], f"range {number}")
        inserted += written.inserted
        assert len(written.inserted) + len(written.duplicates) == len(delivered)
        assert written[2:] == ([], [])
    seen = [rows[one] for one in sorted({one for delivered in deliveries for one in delivered})]
    assert ids(inserted) == sorted(await stored_ids(bronze)) == ids(seen)
    assert await states(bronze) == folded(of(seen))


async def test_another_workflow_s_events_are_duplicates(bronze: asyncpg.Pool) -> None:
    rows = batch(200)
    await writer.write(bronze, rows[:150], WORKFLOW)
    written = await writer.write(bronze, rows[100:], "another")
    assert ids(written.inserted) == ids(rows[150:])
    assert ids(written.duplicates) == ids(rows[100:150])
    assert await states(bronze) == folded(of(rows))


async def test_another_rendering_of_an_event_is_a_duplicate_and_leaves_the_first(
    bronze: asyncpg.Pool,
) -> None:
    rows = [changed(row, identity_sha256=IDENTITY) for row in batch(3)]
    await writer.write(bronze, rows, WORKFLOW)
    rendered = changed(rows[1], body_sha256=OTHER_SHA, api_version="2020-08-27")
    altered = changed(rendered, identity_sha256="a" * 64)
    written = await writer.write(bronze, [rendered, rows[1], altered], "another")
    assert written == ([], [rendered, rows[1]], [altered], [])
    found = await stored(bronze, rows[1])
    assert (found["body_sha256"], found["identity_sha256"]) == (
        rows[1].event.body_sha256,
        IDENTITY,
    )
    assert await states(bronze) == folded(of(rows))


async def test_a_row_without_an_identity_is_known_by_its_body(bronze: asyncpg.Pool) -> None:
    """An earlier version stored the row. The same bytes arrive again, now with an identity."""
    (row,) = batch(1)
    await writer.write(bronze, [row], WORKFLOW)
    again = changed(row, identity_sha256=IDENTITY)
    assert (await writer.write(bronze, [again], "another")).duplicates == [again]


async def test_another_body_is_a_conflict_and_leaves_the_first(bronze: asyncpg.Pool) -> None:
    rows = batch(20)
    await writer.write(bronze, rows, WORKFLOW)
    other = changed(rows[3], body_sha256=OTHER_SHA, status="other")
    written = await writer.write(bronze, [other, other, rows[3]], "another")
    assert written.conflicts == [other, other]
    assert written.duplicates == [rows[3]]
    found = await stored(bronze, rows[3])
    assert found["body_sha256"] == rows[3].event.body_sha256
    assert await states(bronze) == folded(of(rows))


async def test_of_two_bodies_in_one_batch_the_first_is_written(bronze: asyncpg.Pool) -> None:
    row = batch(1)[0]
    other = changed(row, body_sha256=OTHER_SHA)
    written = await writer.write(bronze, [other, row, other], WORKFLOW)
    assert written == writer.Written([other], [other], [row], [])


async def test_same_id_of_two_providers_is_two_events(bronze: asyncpg.Pool) -> None:
    row = batch(1)[0]
    written = await writer.write(bronze, [row, changed(row, provider="adyen")], WORKFLOW)
    assert len(written.inserted) == 2


POISON: dict[str, dict[str, object]] = {
    "null character in a column": {"status": "a\0b"},
    "null character in an attribute": {"invoice_id": "a\0b"},
    "lone surrogate in a column": {"status": "\ud800"},
    "lone surrogate in an attribute": {"invoice_id": "\ud800"},
    "amount past bigint": {"amount_minor": 2**63},
    "amount without a currency": {"amount_minor": 1, "currency": None},
    "currency without an exponent": {"currency_exponent": None},
    "key longer than an index takes": {"payment_id": random.Random(1).randbytes(9000).hex()},
}


@pytest.mark.parametrize("fields", POISON.values(), ids=POISON.keys())
async def test_what_postgresql_refuses_sinks_nobody_else(
    bronze: asyncpg.Pool, fields: dict[str, object]
) -> None:
    rows = batch(64)
    charges = [at for at, row in enumerate(rows) if isinstance(row.event, Charge)]
    bad = {charges[0], charges[-1]}
    given = [changed(row, **fields) if at in bad else row for at, row in enumerate(rows)]
    good = [row for at, row in enumerate(rows) if at not in bad]
    written = await writer.write(bronze, given, WORKFLOW)
    assert ids(written.inserted) == ids(good)
    assert ids([refused.row for refused in written.refused]) == ids([rows[at] for at in bad])
    assert all(refused.reason for refused in written.refused)
    assert await states(bronze) == folded(of(good))


async def test_refusal_does_not_quote_the_row(bronze: asyncpg.Pool) -> None:
    secret = "cus_secret"
    row = changed(batch(1)[0], currency=None, amount_minor=1, customer_id=secret)
    written = await writer.write(bronze, [row], WORKFLOW)
    assert "amount_has_currency" in written.refused[0].reason
    assert secret not in written.refused[0].reason


async def test_second_body_of_a_refused_event_has_its_chance(bronze: asyncpg.Pool) -> None:
    row = batch(1)[0]
    bad = changed(row, status="\0", body_sha256=OTHER_SHA)
    written = await writer.write(bronze, [bad, row], WORKFLOW)
    assert written.inserted == [row]
    assert [refused.row for refused in written.refused] == [bad]


async def test_events_and_features_come_together_or_not_at_all(
    bronze: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = batch(50)

    def broken(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(feature_states, "apply", broken)
        with pytest.raises(RuntimeError):
            await writer.write(bronze, rows, WORKFLOW)
    assert await stored_ids(bronze) == []
    assert await states(bronze) == {}
    await writer.write(bronze, rows, WORKFLOW)
    assert await states(bronze) == folded(of(rows))


async def test_lost_connection_is_no_fault_of_the_events(bronze: asyncpg.Pool) -> None:
    async with bronze.acquire() as holder, holder.transaction():
        await holder.execute("LOCK TABLE entity_features")
        writing = asyncio.create_task(writer.write(bronze, batch(10), WORKFLOW))
        while not (waiting := await holder.fetchval(WAITING)):
            await asyncio.sleep(0.01)
        await holder.execute("SELECT pg_terminate_backend($1)", waiting)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await writing
    assert len((await writer.write(bronze, batch(10), WORKFLOW)).inserted) == 10


async def test_concurrent_overlapping_shuffled_writers_are_exact(bronze: asyncpg.Pool) -> None:
    """Eight at once, each with most of the events, in batches of its own order and size."""
    rows = batch(2000)

    async def run(seed: int) -> list[ScoredEvent]:
        dice = random.Random(seed)
        mine = dice.sample(rows, k=1600) + dice.sample(rows, k=200)
        inserted: list[ScoredEvent] = []
        while mine:
            size = dice.randint(1, 300)
            written = await writer.write(bronze, mine[:size], f"{seed}/{len(mine)}")
            assert written[2:] == ([], [])
            inserted += written.inserted
            del mine[:size]
        return inserted

    inserted = [row for part in await asyncio.gather(*map(run, range(8))) for row in part]
    assert ids(inserted) == sorted(await stored_ids(bronze))
    assert len({row.key for row in inserted}) == len(inserted)
    assert await states(bronze) == folded(of(inserted))


@pytest.mark.parametrize("round_", range(3))
async def test_writers_of_different_events_of_the_same_people_are_exact(
    bronze: asyncpg.Pool, round_: int
) -> None:
    """Nobody waits for an event here, all for the entities, which none of them has seen before."""
    rows = batch(2000)
    random.Random(round_).shuffle(rows)
    parts = [rows[start::8] for start in range(8)]
    await asyncio.gather(
        *(writer.write(bronze, part, str(at)) for at, part in enumerate(parts)),
    )
    assert await states(bronze) == folded(of(rows))


async def test_enormous_sums_stop_at_what_can_be_stored(bronze: asyncpg.Pool) -> None:
    charges = [row for row in batch(300) if row.event.event_type == "charge.succeeded"][:3]
    rows = [changed(row, amount_minor=2**63 - 1, currency="EUR") for row in charges]
    written = await writer.write(bronze, rows, WORKFLOW)
    assert len(written.inserted) == 3
    sums = [
        totals.sum_minor
        for state in (await states(bronze)).values()
        for totals in state.amounts.values()
    ]
    assert max(sums) == feature_states.SUM_MINOR_MAX


async def test_rescoring_shows_the_row_to_the_lake_again(bronze: asyncpg.Pool) -> None:
    rows = [unscored(event) for event in events(50)]
    await writer.write(bronze, rows, WORKFLOW)
    waiting = await bronze_reader.unscored(bronze, limit=30)
    assert len(waiting) == 30
    assert all(event in of(rows) for event in waiting)
    late = [scored(event) for event in waiting]
    assert await writer.rescore(bronze, late) == 30
    assert await writer.rescore(bronze, late) == 0
    assert len(await bronze_reader.unscored(bronze, limit=100)) == 20
    xids = await bronze.fetch(
        "SELECT inference_status, count(DISTINCT ingest_xid), max(ingest_xid::text::bigint) AS xid "
        "FROM payment_events GROUP BY 1 ORDER BY 1"
    )
    (first, one, rescored_xid), (second, also_one, written_xid) = xids
    assert (first, one, second, also_one) == ("scored", 1, "unavailable", 1)
    assert rescored_xid > written_xid


async def test_concurrent_rescoring_scores_each_row_once(bronze: asyncpg.Pool) -> None:
    given = list(events(400))
    await writer.write(bronze, [unscored(event) for event in given], WORKFLOW)

    async def rescore(seed: int) -> int:
        late = [scored(event) for event in given]
        random.Random(seed).shuffle(late)
        return await writer.rescore(bronze, late)

    assert sum(await asyncio.gather(*map(rescore, range(6)))) == 400
