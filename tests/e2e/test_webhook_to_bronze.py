"""A simulation with every fault, from the first webhook to the audit, on the real components."""

import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from payment_pipeline.settings import Settings
from support import commands

pytestmark = pytest.mark.stack

FAULTS = (
    *("--duplicates", "0.1", "--shuffle", "--late", "0.05"),
    *("--malformed", "0.03", "--bad-signature", "0.03", "--altered", "0.01"),
)


@pytest.fixture(scope="module")
def run(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run one simulation with every fault, and audit it."""
    ledger = tmp_path_factory.mktemp("e2e") / "ledger.jsonl"
    arguments = ("simulate", "--events", "1500", "--seed", "11", "--ledger", str(ledger), "--json")
    simulated = commands.call(stack, *arguments, *FAULTS)
    assert simulated.returncode == 0, simulated.stderr
    return {
        "ledger": ledger,
        "summary": json.loads(simulated.stdout),
        "audit": commands.audit(stack, ledger),
    }


def attempts(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_acknowledged_event_is_in_exactly_one_destination(run: dict[str, Any]) -> None:
    audit = run["audit"]
    assert audit["ok"], audit
    assert audit["missing"] == audit["duplicated"] == []
    acknowledged = {
        (attempt["event_id"], attempt["sha256"])
        for attempt in attempts(run["ledger"])
        if attempt["answer"] == 200
    }
    assert audit["stages"]["acknowledged"]["events"] == len(acknowledged) > 1000


def test_the_control_totals_agree_in_every_currency(run: dict[str, Any]) -> None:
    stages = run["audit"]["stages"]
    assert len(stages["bronze"]["hash_total"]) > 3
    assert set(stages["bronze"]["hash_total"]) <= set(stages["raw"]["hash_total"])


def test_every_webhook_with_a_bad_signature_is_refused(run: dict[str, Any]) -> None:
    forged = [a for a in attempts(run["ledger"]) if a["fault"] == "bad_signature"]
    assert forged
    assert {attempt["answer"] for attempt in forged} <= {400, 401}


async def test_rows_are_scored_and_name_their_workflow(
    run: dict[str, Any], stack: Settings
) -> None:
    assert run["audit"]["ok"]
    connection = await asyncpg.connect(stack.dsn)
    try:
        rows = await connection.fetch(
            "SELECT inference_status, count(*) AS n, bool_and(workflow_id <> '') AS named"
            " FROM payment_events GROUP BY 1"
        )
        unscored = await connection.fetchval(
            "SELECT count(*) FROM payment_events WHERE event_type IN ('charge.succeeded',"
            " 'payment.succeeded') AND (fraud_score IS NULL) = (inference_status = 'scored')"
        )
        example = await connection.fetchrow(
            "SELECT event_id, payment_id, workflow_id FROM payment_events"
            " WHERE kind = 'payment' LIMIT 1"
        )
    finally:
        await connection.close()
    assert {row["inference_status"] for row in rows} >= {"scored"}
    assert all(row["named"] for row in rows)
    assert unscored == 0, "a fraud score and its inference status disagree"
    for known in (example["event_id"], example["payment_id"]):
        traced = commands.call(stack, "trace", known, "--json")
        assert traced.returncode == 0, traced.stderr
        assert example["event_id"] in traced.stdout
        assert stack.temporal_ui in traced.stdout


def test_a_second_audit_gives_the_same_result(run: dict[str, Any], stack: Settings) -> None:
    again = commands.audit(stack, run["ledger"])
    assert again["ok"]
    assert again["stages"]["bronze"] == run["audit"]["stages"]["bronze"]
