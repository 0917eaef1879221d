"""Events on the topics reach bronze exactly once, on the real stores and processes."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from payment_pipeline.adapters import postgres, temporal
from payment_pipeline.bronze import decisions
from payment_pipeline.domain import topics
from payment_pipeline.domain.events import PAYMENT_EVENT, Payment
from payment_pipeline.orchestrator import search_attribute_keys
from payment_pipeline.orchestrator.messages import TASK_QUEUE, ReviewRequest, Subject
from payment_pipeline.settings import Settings
from support import commands
from support.normalized_events import COUNT, NOWHERE, charge, normalized, produce, rows, until

pytestmark = pytest.mark.stack

CANARY = "canary@example.com 4000056655665556"


async def test_events_are_scored_and_written_once_with_their_workflow_id(stack: Settings) -> None:
    run = uuid4().hex[:8]
    events = [charge(number, run, NOWHERE) for number in range(50)]
    await produce(stack, topics.NORMALIZED, normalized([*events, *events[:20]]))
    await until(lambda: rows(stack, COUNT, f"evt_{run}_%") == [(50,)])
    found = rows(
        stack,
        "SELECT DISTINCT workflow_id, inference_status FROM payment_events WHERE event_id LIKE %s",
        f"evt_{run}_%",
    )
    client = await temporal.connect(stack)
    for workflow_id, status in found:
        assert status == "scored"
        described = await client.get_workflow_handle(str(workflow_id)).describe()
        assert described.workflow_type == "IngestRange"
    features = rows(
        stack,
        "SELECT events, attempts FROM entity_features WHERE entity_id = %s",
        f"platform/test/cus_{run}",
    )
    assert features == [(50, 50)]


async def test_a_bad_record_affects_no_other_and_leaves_no_data_in_temporal(
    stack: Settings,
) -> None:
    run = uuid4().hex[:8]
    events = [charge(number, run, NOWHERE) for number in range(3)]
    garbage = json.dumps({"kind": "charge", "run": run, "email": CANARY}).encode()
    good = normalized(events)
    coordinates = await produce(stack, topics.NORMALIZED, [good[0], garbage, *good[1:]])
    await until(lambda: rows(stack, COUNT, f"evt_{run}_%") == [(3,)])
    query = (
        "SELECT failure, component, body, workflow_id FROM payment_events_quarantine"
        " WHERE (source_topic, source_partition, source_offset) = (%s, %s, %s)"
    )
    source = (coordinates[1].topic, coordinates[1].partition, coordinates[1].offset)
    await until(lambda: len(rows(stack, query, *source)) == 1)
    ((failure, component, body, workflow_id),) = rows(stack, query, *source)
    assert (failure, component, body) == ("unprocessable", "orchestrator", garbage)
    client = await temporal.connect(stack)
    history = await client.get_workflow_handle(str(workflow_id)).fetch_history()
    assert not any(CANARY.encode() in event.SerializeToString() for event in history.events)


async def test_the_same_id_with_another_body_goes_to_quarantine(stack: Settings) -> None:
    run = uuid4().hex[:8]
    bodies = [b'{"is":"first"}', b'{"is":"second"}']
    raw = await produce(stack, topics.raw("stripe", "charge"), bodies)
    both = [charge(0, run, source, body) for source, body in zip(raw, bodies, strict=True)]
    await produce(stack, topics.NORMALIZED, normalized(both))
    query = (
        "SELECT failure, body FROM payment_events_quarantine"
        " WHERE (source_topic, source_partition, source_offset, failure) = (%s, %s, %s, %s)"
    )
    second = (raw[1].topic, raw[1].partition, raw[1].offset, "conflicting_body")
    await until(lambda: rows(stack, query, *second) == [("conflicting_body", bodies[1])])
    kept = rows(stack, "SELECT body_sha256 FROM payment_events WHERE event_id = %s", f"evt_{run}_0")
    assert kept == [(both[0].body_sha256,)]


async def test_unreadable_bodies_can_be_queried_in_sql(stack: Settings) -> None:
    body = b"\x00not json " + uuid4().hex.encode()
    await produce(stack, topics.DLQ_WEBHOOKS, [body])
    query = "SELECT failure, component, body FROM payment_events_quarantine WHERE body = %s"
    await until(lambda: rows(stack, query, body) == [("unparseable", "gateway", body)])


async def test_a_person_answers_a_review_from_the_terminal(stack: Settings) -> None:
    payment = f"pi_{uuid4().hex[:12]}"
    subject = Subject("stripe", payment, "evt_1", "cus_1", "acct_1")
    request = ReviewRequest(subject, 0.97, 3600)
    client = await temporal.connect(stack)
    await _open_review(client, request)
    listed = commands.call(stack, "review", "list", "--json")
    found = {each["payment_id"]: each for each in json.loads(listed.stdout)}
    assert found[payment]["fraud_score"] == 0.97
    done = commands.call(stack, "review", "decline", payment, "--by", "ada", "--note", "stolen")
    assert (done.returncode, "declined by ada" in done.stdout) == (0, True)
    assert rows(
        stack,
        "SELECT kind, outcome, decided_by, note FROM payment_decisions WHERE payment_id = %s",
        payment,
    ) == [("review", "declined", "ada", "stolen")]
    again = commands.call(stack, "review", "approve", payment, "--by", "bob")
    assert again.returncode == 1
    assert "closed: declined" in again.stderr


async def test_a_recovery_reads_later_events_of_its_payment(stack: Settings) -> None:
    run = uuid4().hex[:8]
    failed = [_failed(number, run) for number in range(2)]
    await produce(stack, topics.NORMALIZED, [PAYMENT_EVENT.dump_json(each) for each in failed])
    await until(lambda: rows(stack, COUNT, f"evt_{run}_%") == [(2,)])
    pool = await postgres.pool(stack)
    try:
        newer = await decisions.failed_again(pool, "stripe", failed[0].event_id)
        assert newer is not None
        assert newer.event_id == failed[1].event_id
        assert newer.scores is not None
        assert newer.scores["retry_strategy"]["model"] == "retry_strategy"
        assert await decisions.failed_again(pool, "stripe", failed[1].event_id) is None
        assert not await decisions.succeeded(pool, "stripe", f"pi_{run}_0")
        paid = charge(0, run, NOWHERE)
        await produce(stack, topics.NORMALIZED, normalized([paid]))

        await until(lambda: rows(stack, COUNT, paid.event_id) == [(1,)])
        assert await decisions.succeeded(pool, "stripe", f"pi_{run}_0")
    finally:
        await pool.close()


def _failed(number: int, run: str) -> Payment:
    at = datetime(2026, 1, 15, 12, number, tzinfo=UTC)
    return Payment(
        event_type="payment.failed",
        provider_event_type="payment_intent.payment_failed",
        provider="stripe",
        event_id=f"evt_{run}_failed_{number}",
        occurred_at=at,
        received_at=datetime.now(UTC),
        livemode=False,
        payment_id=f"pi_{run}_0",
        object_id=f"pi_{run}_0",
        status="failed",
        amount_minor=1999,
        currency="EUR",
        currency_exponent=2,
        body_sha256="0" * 64,
        source=NOWHERE,
        normalizer_version="test",
    )


async def _open_review(client: Client, request: ReviewRequest) -> None:
    """Open a review as a batch does when the model scores a payment as fraud."""
    handle = await client.start_workflow(
        "FraudReview",
        request,
        id=request.workflow_id,
        task_queue=TASK_QUEUE,
        search_attributes=search_attribute_keys.of(request.subject),
        memo={"fraud_score": 0.97, "timeout_s": request.timeout_s, "on_timeout": "declined"},
    )

    async def listed() -> bool:
        query = f"WorkflowId = '{request.workflow_id}'"
        return [one.status async for one in client.list_workflows(query)] == [
            WorkflowExecutionStatus.RUNNING
        ]

    await until(listed)
    assert handle.id == request.workflow_id
