"""A corrected event supersedes its row, keeps the old version, and leaves exact features."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from payment_pipeline.bronze import corrections, feature_states, refold, writer
from payment_pipeline.bronze.rows import to_event
from payment_pipeline.domain.events import Charge, PaymentEvent
from payment_pipeline.domain.features import EntityKey, EntityState
from support import bronze_letters
from support.bronze_events import events, folded, scored

pytestmark = pytest.mark.stack

BY = "replay/2026-01-31T12:00:00Z"


def changed(event: PaymentEvent, **fields: object) -> PaymentEvent:
    return event.model_copy(update={"normalizer_version": "2", **fields})


def charges(count: int) -> list[PaymentEvent]:
    found = [event for event in events(2_000) if event.event_type.startswith("charge.")]
    return found[:count]


async def written(pool: asyncpg.Pool, given: list[PaymentEvent]) -> list[PaymentEvent]:
    await writer.write(pool, [scored(event) for event in given], "wf")
    return given


async def row_of(pool: asyncpg.Pool, event: PaymentEvent) -> asyncpg.Record:
    return await pool.fetchrow("SELECT * FROM payment_events WHERE event_id = $1", event.event_id)


async def history_of(pool: asyncpg.Pool, event: PaymentEvent) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await pool.fetch(
        "SELECT * FROM payment_events_history WHERE event_id = $1 ORDER BY valid_from",
        event.event_id,
    )
    return found


async def states(pool: asyncpg.Pool) -> dict[EntityKey, EntityState]:
    found = feature_states.to_states(await pool.fetch("SELECT * FROM entity_features"))
    return {key: state for key, state in found.items() if state != EntityState()}


async def in_bronze(pool: asyncpg.Pool) -> list[PaymentEvent]:
    return [to_event(row) for row in await pool.fetch("SELECT * FROM payment_events ORDER BY id")]


async def test_a_row_that_says_the_same_is_not_written(bronze: asyncpg.Pool) -> None:
    given = await written(bronze, list(events(200)))
    before = await bronze.fetch("SELECT * FROM payment_events ORDER BY id")
    again = [changed(event, received_at=event.received_at + timedelta(1)) for event in given]
    assert await corrections.correct(bronze, again, BY) == []
    assert await bronze.fetch("SELECT * FROM payment_events ORDER BY id") == before
    assert await bronze.fetchval("SELECT count(*) FROM payment_events_history") == 0
    assert await refold.refold(bronze) == 0


async def test_a_correction_changes_what_the_normalizer_decides_and_nothing_else(
    bronze: asyncpg.Pool,
) -> None:
    event = (await written(bronze, charges(5)))[2]
    before = await row_of(bronze, event)
    new = changed(event, amount_minor=4242, status="corrected", customer_id="cus_corrected")
    found = await corrections.correct(bronze, [new], BY)
    assert [each.columns for each in found] == [("customer_id", "status", "amount_minor")]
    after = await row_of(bronze, event)
    assert (after["amount_minor"], after["status"]) == (4242, "corrected")
    assert after["normalizer_version"] == "2"
    assert int(after["ingest_xid"]) > int(before["ingest_xid"])
    of_the_correction = {
        *("amount_minor", "status", "customer_id"),
        *("normalizer_version", "corrected_at", "ingest_xid"),
    }
    for name in set(before.keys()) - of_the_correction:
        assert after[name] == before[name], name


async def test_history_says_what_the_row_was_and_when(bronze: asyncpg.Pool) -> None:
    event = (await written(bronze, charges(1)))[0]
    first = await row_of(bronze, event)
    for amount_minor in (1, 2):
        await corrections.correct(bronze, [changed(event, amount_minor=amount_minor)], BY)
    last = await row_of(bronze, event)
    history = await history_of(bronze, event)
    assert [row["amount_minor"] for row in history] == [event.amount_minor, 1]
    assert [row["corrected_by"] for row in history] == [BY, BY]
    assert history[0]["valid_from"] == first["ingested_at"]
    assert history[0]["valid_to"] == history[1]["valid_from"] == history[1]["corrected_at"]
    assert history[1]["valid_to"] == last["corrected_at"]
    assert {name: history[0][name] for name in first.keys()} == dict(first)  # noqa: SIM118


async def test_the_same_correction_again_changes_nothing(bronze: asyncpg.Pool) -> None:
    new = [changed(event, amount_minor=7) for event in await written(bronze, charges(20))]
    assert len(await corrections.correct(bronze, [*new, new[0]], BY)) == 20
    assert await corrections.correct(bronze, new, BY) == []
    assert await bronze.fetchval("SELECT count(*) FROM payment_events_history") == 20


async def test_another_body_and_an_unknown_event_are_passed_over(bronze: asyncpg.Pool) -> None:
    known, other = charges(2)
    await written(bronze, [known])
    elsewhere = changed(known, body_sha256="f" * 64, amount_minor=7)
    assert await corrections.correct(bronze, [elsewhere, other], BY) == []
    compared = await corrections.compare(bronze, [elsewhere, other, known])
    assert (compared.others, compared.absent) == ([elsewhere], [other])
    assert compared.unchanged == [known]


async def test_another_rendering_corrects_nothing(bronze: asyncpg.Pool) -> None:
    known = changed(charges(1)[0], identity_sha256="e" * 64)
    await written(bronze, [known])
    rendered = changed(known, body_sha256="f" * 64, api_version="2020-08-27", status="other")
    compared = await corrections.compare(bronze, [rendered])
    assert (compared.unchanged, compared.others) == ([rendered], [])
    assert await corrections.correct(bronze, [rendered], BY) == []
    letter = bronze_letters.letter(1, event_id=known.event_id, identity_sha256="e" * 64)
    await writer.quarantine(bronze, [letter], "wf")
    assert await corrections.quarantined(bronze, [rendered]) == {letter.body_sha256, "e" * 64}


async def test_an_identity_that_was_not_recorded_at_the_receipt_is_no_correction(
    bronze: asyncpg.Pool,
) -> None:
    (event,) = await written(bronze, charges(1))
    again = changed(event, identity_sha256="e" * 64)
    assert (await corrections.compare(bronze, [again])).unchanged == [again]
    assert await corrections.correct(bronze, [changed(again, amount_minor=7)], BY)
    assert (await row_of(bronze, event))["identity_sha256"] is None


async def test_the_states_of_a_customer_id_in_two_modes_are_folded_apart(
    bronze: asyncpg.Pool,
) -> None:
    first, second, third, fourth = charges(4)
    same: dict[str, object] = {"customer_id": "cus_same", "livemode": True, "merchant_id": None}
    given = [
        changed(first, **same),
        changed(second, **same | {"livemode": False}),
        changed(third, **same | {"merchant_id": "acct_1"}),
        changed(fourth, **same),
    ]
    await written(bronze, given)
    right = [changed(event, amount_minor=1) for event in given]
    await corrections.correct(bronze, right, BY)
    await refold.refold(bronze)
    found = await states(bronze)
    assert found == folded(right)
    customers = {key.entity_id: found[key].attempts for key in found if key.entity == "customer"}
    assert customers == {
        "platform/live/cus_same": 2,
        "platform/test/cus_same": 1,
        "acct_1/live/cus_same": 1,
    }


async def test_a_row_of_an_earlier_version_still_counts(bronze: asyncpg.Pool) -> None:
    """Such a row has a status that this version does not have. It counts as unknown."""
    given = await written(bronze, charges(40))
    await bronze.execute("UPDATE payment_events SET status = 'of an earlier version'")
    await corrections.correct(bronze, [changed(event, amount_minor=9) for event in given], BY)
    await bronze.execute("UPDATE payment_events SET status = 'of an earlier version'")
    await refold.refold(bronze)
    right = [changed(event, amount_minor=9, status="unknown") for event in given]
    assert await states(bronze) == folded(right)


async def test_features_are_as_if_the_events_had_always_been_so(bronze: asyncpg.Pool) -> None:
    given = await written(bronze, list(events(1_500)))
    right = [_corrected(number, event) for number, event in enumerate(given)]
    await corrections.correct(bronze, right, BY)
    assert await states(bronze) != folded(right), "or the test shows nothing"
    assert await refold.refold(bronze) > 50
    assert await states(bronze) == folded(right)
    assert await refold.refold(bronze) == 0


def _corrected(number: int, event: PaymentEvent) -> PaymentEvent:
    """Amounts, payers, merchants, cards and times of some; every one of them leaves a mark."""
    if not isinstance(event, Charge) or number % 3:
        return event
    fields: dict[str, object] = {"amount_minor": (event.amount_minor or 0) // 10}
    if number % 2:
        fields["customer_id"] = f"cus_{number % 7}"
        fields["merchant_id"] = "acct_corrected"
    if number % 5 == 0:
        fields["occurred_at"] = event.occurred_at - timedelta(days=400)
        fields["payment_method"] = None
    return changed(event, **fields)


async def test_a_correction_that_leaves_no_mark_folds_nothing(bronze: asyncpg.Pool) -> None:
    (event,) = await written(bronze, charges(1))
    assert await corrections.correct(bronze, [changed(event, provider_status="other")], BY)
    assert await refold.refold(bronze) == 0


async def test_what_is_written_during_a_refold_counts_once(bronze: asyncpg.Pool) -> None:
    given = list(events(1_200))
    await written(bronze, given[:600])
    right = [_corrected(number, event) for number, event in enumerate(given[:600])]
    await corrections.correct(bronze, right, BY)

    async def writing() -> None:
        for start in range(600, 1_200, 20):
            await written(bronze, given[start : start + 20])

    async def refolding() -> None:
        await refold.refold(bronze)

    await asyncio.gather(writing(), refolding())
    assert await states(bronze) == folded(await in_bronze(bronze))
    assert await bronze.fetchval("SELECT count(*) FROM entity_features_due") == 0


async def test_what_was_scored_late_during_a_refold_counts_once(bronze: asyncpg.Pool) -> None:
    """Such a row has a young transaction, and is in the snapshot all the same."""
    given = await written(bronze, charges(40))
    await corrections.correct(bronze, [changed(given[0], amount_minor=1)], BY)
    async with bronze.acquire() as held, held.transaction():
        # A transaction that runs since before the snapshot keeps the horizon down.
        await held.execute("SELECT pg_current_xact_id()")
        await bronze.execute("UPDATE payment_events SET ingest_xid = pg_current_xact_id()")
        assert await refold.refold(bronze) > 0
    assert await states(bronze) == folded(await in_bronze(bronze))


async def test_one_replay_at_a_time(bronze: asyncpg.Pool) -> None:
    async with refold.lock(bronze):
        with pytest.raises(Exception, match="Another replay or an erasure is running"):
            async with refold.lock(bronze):
                pass
    async with refold.lock(bronze):
        pass
