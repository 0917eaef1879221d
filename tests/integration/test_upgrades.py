"""The next release starts while the last one runs: workflows, migrations, gateways.

Two gateways at once: `test_gateway.py`. Stored histories under today's code: `tests/replay`.
"""

import asyncio
from importlib.resources import files
from uuid import uuid4

import psycopg
import pytest
from temporalio.worker import Replayer

from payment_pipeline.adapters import postgres
from payment_pipeline.bronze import feature_states, writer
from payment_pipeline.bronze.migrate import migrate
from payment_pipeline.orchestrator import messages
from payment_pipeline.orchestrator.messages import Outcome, ReviewAnswer, ReviewState
from payment_pipeline.settings import Settings
from support.bronze_events import events, folded, scored
from support.databases import empty_schema
from support.next_review import PatchedReview, UnpatchedReview
from support.sandbox import SANDBOX
from support.scripted import Script, review, running, server

pytestmark = pytest.mark.stack

COMING = {
    "0006_history": "DROP TABLE payment_events_history, entity_features_due",
    "0010_ledger_audits": "DROP TABLE ledger_audits",
    "0011_plain_comments": "SELECT",
    "0013_scoped_features": "SELECT",
}
"""Migrations that are applied while events flow, each with the statement that undoes it.

Every migration may run twice, so the later ones, which build on it, then run again.
"""


async def test_a_new_version_of_a_workflow_leaves_open_ones_on_their_way() -> None:
    script, queue = Script(), f"upgrade-{uuid4().hex}"
    answer = ReviewAnswer("ada")
    async with server(skips_time=False) as environment:
        client = environment.client
        async with running(client, script, queue):
            old = await client.start_workflow(
                "FraudReview", review(3600), id=uuid4().hex, task_queue=queue,
                result_type=ReviewState,
            )  # fmt: skip
            assert (await old.query("state", result_type=ReviewState)).outcome is Outcome.PENDING
        async with running(client, script, queue, [PatchedReview]):
            new = await client.start_workflow(
                "FraudReview", review(3600), id=uuid4().hex, task_queue=queue,
                result_type=ReviewState,
            )  # fmt: skip
            await old.signal("approve", answer)
            assert (await old.result()).outcome is Outcome.APPROVED
            await new.signal("approve", answer)
            assert (await new.result()).outcome is Outcome.APPROVED
        assert script.asked == [_asked()], "by the new one alone"
        assert [each.outcome for each in script.decisions] == [Outcome.APPROVED] * 2
        history = await old.fetch_history()
    # The control: without the patch the open one would have stood still.
    replayer = Replayer(workflows=[UnpatchedReview], workflow_runner=SANDBOX)
    with pytest.raises(Exception, match=r"[Nn]ondeterminism"):
        await replayer.replay_workflow(history)


def _asked() -> str:
    return f"{messages.CHECK_PAYMENT} {review(1).subject.event_id}"


@pytest.mark.parametrize("coming", COMING)
async def test_a_migration_comes_while_events_flow(stores: Settings, coming: str) -> None:
    given = list(events(1_200))
    with empty_schema(stores) as settings:
        _migrate_before(settings, coming)
        pool = await postgres.pool(settings, 4, 4)
        under_way = asyncio.Event()

        async def flow(mine: int) -> None:
            for start in range(mine * 20, len(given), 80):
                rows = [scored(event) for event in given[start : start + 20]]
                written = await writer.write(pool, rows, f"wf/{start}")
                assert len(written.inserted) == len(rows)
                under_way.set()

        async def upgrade() -> list[str]:
            await under_way.wait()
            return await asyncio.to_thread(migrate, settings)

        upgrading = asyncio.create_task(upgrade())
        await asyncio.gather(*map(flow, range(4)))
        applied = await upgrading
        assert coming in applied
        rows = await pool.fetchval("SELECT count(*) FROM payment_events WHERE corrected_at IS NULL")
        states = feature_states.to_states(await pool.fetch("SELECT * FROM entity_features"))
        await pool.close()
    assert rows == len(given)
    assert states == folded(given)


def _migrate_before(settings: Settings, coming: str) -> None:
    """The schema as it was, without yoyo's list: every migration may run twice."""
    folder = files("payment_pipeline.bronze") / "migrations"
    with psycopg.connect(settings.dsn, autocommit=True) as connection:
        for path in sorted(folder.iterdir(), key=lambda each: each.name):
            if path.name.endswith(".sql"):
                connection.execute(path.read_bytes())
        connection.execute(COMING[coming])
