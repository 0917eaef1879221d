"""The workflows of ranges, reviews and recoveries, on a server that skips time."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from payment_pipeline.orchestrator import messages, search_attribute_keys
from payment_pipeline.orchestrator.messages import (
    FollowUps,
    LateScores,
    Outcome,
    PaymentNow,
    RangeOutcome,
    RecoveryRequest,
    RecoveryState,
    Refusal,
    ReviewAnswer,
    ReviewState,
    Verdict,
)
from support.scripted import BATCH, Script, advice, persisted, recovery, review, running, server

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    async with server() as started:
        yield started


@pytest.fixture
def client(environment: WorkflowEnvironment) -> Client:
    return environment.client


@pytest.fixture
def still(environment: WorkflowEnvironment) -> Iterator[Client]:
    """The client, with a clock that does not skip."""
    with environment.with_time_skipping_disabled():
        yield environment.client


async def outcome_attribute(client: Client, workflow_id: str) -> str | None:
    described = await client.get_workflow_handle(workflow_id).describe()
    return described.typed_search_attributes.get(search_attribute_keys.OUTCOME)


async def test_a_range_is_scored_then_written(client: Client) -> None:
    script = Script()
    async with running(client, script) as queue:
        outcome = await client.execute_workflow(
            "IngestRange", BATCH, id=uuid4().hex, task_queue=queue, result_type=RangeOutcome
        )
    assert outcome == RangeOutcome(events=3, inserted=3)
    assert script.asked == [messages.SCORE_RANGE, messages.PERSIST_RANGE]


async def test_a_local_activity_that_fails_is_retried_as_an_activity(
    still: Client,
) -> None:
    """The server then counts the attempts, and they add nothing to the history."""
    lengths = set()
    for fails in (1, 3):
        script = Script(
            unscorable=fails, unopenable=fails, persisted=persisted(leads_to=FollowUps([review()]))
        )
        async with running(still, script) as queue:
            handle = await still.start_workflow(
                "IngestRange", BATCH, id=uuid4().hex, task_queue=queue
            )
            await handle.result()
        assert script.asked == [
            *[messages.SCORE_RANGE] * (fails + 1),
            messages.PERSIST_RANGE,
            *[messages.OPEN_FOLLOW_UPS] * (fails + 1),
        ]
        events = (await handle.fetch_history()).events
        assert [
            event.activity_task_scheduled_event_attributes.activity_type.name
            for event in events
            if event.HasField("activity_task_scheduled_event_attributes")
        ] == [messages.SCORE_RANGE, messages.PERSIST_RANGE, messages.OPEN_FOLLOW_UPS]
        lengths.add(len(events))
    assert len(lengths) == 1


async def test_events_that_bronze_refuses_are_quarantined(client: Client) -> None:
    refused = [Refusal("webhooks.stripe.charge", 1, 7, "conflicting_body", "another body")]
    script = Script(persisted=persisted(refused))
    async with running(client, script) as queue:
        outcome = await client.execute_workflow(
            "IngestRange", BATCH, id=uuid4().hex, task_queue=queue, result_type=RangeOutcome
        )
    assert script.quarantined == refused
    assert outcome.quarantined == 1


async def test_a_batch_opens_each_review_and_recovery_once(still: Client) -> None:
    asked_for = FollowUps([review()], [recovery(timedelta(days=1))])
    script = Script(persisted=persisted(leads_to=asked_for))
    async with running(still, script) as queue:
        for _ in range(2):  # the second batch is another event of the same payments
            await still.execute_workflow(
                "IngestRange", BATCH, id=uuid4().hex, task_queue=queue, result_type=RangeOutcome
            )
        for request in asked_for.requests:
            opened = await still.get_workflow_handle(request.workflow_id).describe()
            assert opened.status is WorkflowExecutionStatus.RUNNING  # the batch has ended
            found = opened.typed_search_attributes
            assert found.get(search_attribute_keys.PAYMENT_ID) == request.subject.payment_id
            assert found.get(search_attribute_keys.CUSTOMER_ID) == "cus_1"
            assert found.get(search_attribute_keys.MERCHANT_ID) == "acct_1"
            assert found.get(search_attribute_keys.OUTCOME) == "pending"
            await still.get_workflow_handle(request.workflow_id).terminate()


@pytest.mark.parametrize(
    ("due_in", "sleeps"),
    [
        (timedelta(hours=-1), timedelta(minutes=15)),
        (timedelta(hours=5), timedelta(hours=5, minutes=15)),
        (timedelta(days=2, hours=5), timedelta(days=1)),
    ],
)
async def test_a_recovery_starts_when_its_first_look_is_due(
    still: Client, due_in: timedelta, sleeps: timedelta
) -> None:
    wanted = FollowUps(recoveries=[recovery(due_in)])
    script = Script(persisted=persisted(leads_to=wanted))
    async with running(still, script) as queue:
        await still.execute_workflow("IngestRange", BATCH, id=uuid4().hex, task_queue=queue)
        handle = still.get_workflow_handle(wanted.recoveries[0].workflow_id)
        opened = await handle.describe()
        await handle.terminate()
    assert opened.execution_time is not None
    slept = opened.execution_time - opened.start_time
    assert abs(slept - sleeps) < timedelta(minutes=1)


async def test_a_payment_that_fails_after_its_recovery_ended_gets_another_recovery(
    client: Client,
) -> None:
    first = recovery(timedelta(hours=1))
    late = RecoveryRequest(first.subject, advice(timedelta(hours=1), "evt_late"))
    for follow_ups in (FollowUps([], [first]), FollowUps([], [late])):
        script = Script(persisted=persisted(leads_to=follow_ups))
        async with running(client, script) as queue:
            await client.execute_workflow(
                "IngestRange", BATCH, id=uuid4().hex, task_queue=queue, result_type=RangeOutcome
            )
            await client.get_workflow_handle(follow_ups.recoveries[0].workflow_id).result()
        assert [one.outcome for one in script.decisions] == ["not_retried"]
    assert f"check_payment {late.advice.event_id}" in script.asked


async def test_rows_without_scores_start_one_rescore(client: Client) -> None:
    late = [LateScores(2, "first"), LateScores(1, "second", FollowUps([review()]))]
    script = Script(persisted=persisted(leads_to=FollowUps(rescore=True)), late=list(late))
    async with running(client, script) as queue:
        for _ in range(2):  # the second one signals the running rescore, or starts another
            await client.execute_workflow(
                "IngestRange", BATCH, id=uuid4().hex, task_queue=queue, result_type=RangeOutcome
            )
        await client.get_workflow_handle("rescore").result()
        opened = client.get_workflow_handle(late[1].follow_ups.reviews[0].workflow_id)
        await opened.result()
    assert [asked for asked in script.asked if asked.startswith(messages.PERSIST_SCORES)] == [
        "persist_scores first",
        "persist_scores second",
    ]


async def test_the_first_answer_decides_a_review(still: Client) -> None:
    script, request = Script(), review(timeout_s=3600)
    async with running(still, script) as queue:
        handle = await still.start_workflow(
            "FraudReview",
            request,
            id=request.workflow_id,
            task_queue=queue,
            result_type=ReviewState,
        )
        before = await handle.query("state", result_type=ReviewState)
        assert before.outcome is Outcome.PENDING
        await handle.signal("approve", ReviewAnswer("ada", "known customer"))
        await handle.signal("decline", ReviewAnswer("bob"))
        after = await handle.result()
    assert (after.outcome, after.reviewer, after.note) == ("approved", "ada", "known customer")
    assert [(one.outcome, one.decided_by) for one in script.decisions] == [("approved", "ada")]
    assert await outcome_attribute(still, request.workflow_id) == "approved"


async def test_an_answer_without_a_reviewer_is_ignored(still: Client) -> None:
    script, request = Script(), review(timeout_s=3600)
    async with running(still, script) as queue:
        handle = await still.start_workflow(
            "FraudReview", request, id=request.workflow_id, task_queue=queue
        )
        await handle.signal("approve", ReviewAnswer("  "))
        state = await handle.query("state", result_type=ReviewState)
        assert state.outcome is Outcome.PENDING
        await handle.signal("decline", ReviewAnswer("x" * 1000, "y" * 10_000))
        await handle.result()
    (decision,) = script.decisions
    assert decision.decided_by == "x" * messages.REVIEWER_CHARS_MAX
    assert decision.note == "y" * messages.NOTE_CHARS_MAX


@pytest.mark.parametrize(
    ("on_timeout", "outcome"),
    [(Verdict.DECLINED, "declined_by_timeout"), (Verdict.APPROVED, "approved_by_timeout")],
)
async def test_without_an_answer_the_timeout_decides_a_review(
    client: Client, on_timeout: Verdict, outcome: str
) -> None:
    given = review(timeout_s=24 * 3600)
    request = messages.ReviewRequest(given.subject, 0.95, given.timeout_s, on_timeout)
    script = Script()
    async with running(client, script) as queue:
        state = await client.execute_workflow(
            "FraudReview",
            request,
            id=request.workflow_id,
            task_queue=queue,
            result_type=ReviewState,
        )
    assert (state.outcome, state.reviewer) == (outcome, None)
    (decision,) = script.decisions
    assert (decision.outcome, decision.decided_by, decision.fraud_score) == (outcome, None, 0.95)
    assert await outcome_attribute(client, request.workflow_id) == outcome


@pytest.mark.parametrize(
    ("payments", "outcome", "advised"),
    [
        ([PaymentNow(), PaymentNow(succeeded=True)], "recovered", 1),
        ([], "not_retried", 1),
        ([PaymentNow(failed_again=True)], "exhausted", 1),
        (
            [
                PaymentNow(failed_again=True, advice=advice(timedelta(days=3), "evt_2")),
                PaymentNow(succeeded=True),
            ],
            "recovered",
            2,
        ),
    ],
)
async def test_a_recovery_ends_with_its_outcome(
    client: Client, payments: list[PaymentNow], outcome: str, advised: int
) -> None:
    script, request = Script(payments=list(payments)), recovery(timedelta(hours=20))
    async with running(client, script) as queue:
        state = await client.execute_workflow(
            "PaymentRecovery",
            request,
            id=request.workflow_id,
            task_queue=queue,
            result_type=RecoveryState,
        )
    assert (state.outcome, state.advised) == (outcome, advised)
    assert [one.outcome for one in script.decisions] == ["pending"] * (advised - 1) + [outcome]
    assert [one.step for one in script.decisions] == list(range(1, advised + 1))
    assert await outcome_attribute(client, request.workflow_id) == outcome


@pytest.mark.parametrize(
    ("due_in", "until_due"),
    [
        (timedelta(hours=-1), []),
        # The delayed start has waited for one day, and the advised time is in the future.
        (timedelta(hours=6), [timedelta(hours=6, minutes=15)]),
        (timedelta(hours=30), [timedelta(days=1), timedelta(hours=6, minutes=15)]),
    ],
)
async def test_a_recovery_with_a_delayed_start_looks_first_and_then_sleeps_as_usual(
    client: Client, due_in: timedelta, until_due: list[timedelta]
) -> None:
    script = Script()
    request = replace(recovery(due_in), is_delayed=True)
    async with running(client, script) as queue:
        handle = await client.start_workflow(
            "PaymentRecovery", request, id=request.workflow_id, task_queue=queue
        )
        await handle.result()
    events = (await handle.fetch_history()).events
    sleeps = [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        for event in events
        if event.HasField("timer_started_event_attributes")
    ]
    wanted = [*until_due, timedelta(hours=1), timedelta(hours=6), timedelta(1), timedelta(2)]
    assert len(sleeps) == len(wanted)
    assert all(abs(a - b) < timedelta(minutes=1) for a, b in zip(sleeps, wanted, strict=True))
    assert len(script.asked) == len(sleeps) + 1, "the first look needs no sleep"


async def test_a_recovery_looks_daily_and_asks_about_the_newest_attempt(
    client: Client,
) -> None:
    newer = PaymentNow(failed_again=True, advice=advice(timedelta(hours=-1), "evt_2"))
    script = Script(payments=[PaymentNow(), newer, PaymentNow(succeeded=True)])
    request = recovery(timedelta(days=10))
    async with running(client, script) as queue:
        await client.execute_workflow(
            "PaymentRecovery", request, id=request.workflow_id, task_queue=queue
        )
    assert script.asked == [
        "check_payment evt_1",
        "check_payment evt_1",
        "check_payment evt_2",
    ]


async def test_dead_letters_are_counted(client: Client) -> None:
    async with running(client, Script()) as queue:
        outcome = await client.execute_workflow(
            "QuarantineRange", BATCH, id=uuid4().hex, task_queue=queue, result_type=RangeOutcome
        )
    assert outcome == RangeOutcome(events=3, quarantined=3)
