"""`payments policy simulate` on the real bronze tables: what counts as a payment, and as fraud."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from payment_pipeline.bronze import writer
from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.scoring import EventScores, Score
from payment_pipeline.settings import Settings
from support import commands
from support.bare_event import event

pytestmark = pytest.mark.stack

YESTERDAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(
    days=1
)


def scored(given: PaymentEvent, fraud_score: float) -> ScoredEvent:
    score = Score(value=fraud_score, model="fraud", version="1", reasons=[])
    answers = EventScores(event_id=given.event_id, fraud_score=score)
    return ScoredEvent(given, answers, InferenceStatus.SCORED)


def unjudged(given: PaymentEvent) -> ScoredEvent:
    return ScoredEvent(given, None, InferenceStatus.NOT_APPLICABLE)


def charge(payment: str, minor: int, at: datetime = YESTERDAY) -> PaymentEvent:
    return event(
        "charge.succeeded", at, event_id=f"charge of {payment}", payment_id=payment,
        amount_minor=minor, amount_captured_minor=minor, currency="USD", currency_exponent=2,
    )  # fmt: skip


def warning(payment: str) -> PaymentEvent:
    return event(
        "fraud_warning.created", event_id=f"warning of {payment}", payment_id=payment,
        currency="USD", currency_exponent=2,
    )  # fmt: skip


def dispute(payment: str, reason: str) -> PaymentEvent:
    return event(
        "dispute.created", event_id=f"dispute of {payment}", payment_id=payment,
        currency="USD", currency_exponent=2, reason=reason,
    )  # fmt: skip


def call(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**commands.environment(settings), "PAYMENTS_POSTGRES_DSN": settings.dsn}
    return subprocess.run(
        [commands.PAYMENTS, "policy", "simulate", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=commands.CALL_S,
        check=False,
    )


async def test_reported_frauds_of_the_window_count(
    bronze: asyncpg.Pool, database_settings: Settings
) -> None:
    rows = [
        scored(charge("warned", 50_000), 0.3),
        unjudged(warning("warned")),
        scored(charge("disputed", 50_000, YESTERDAY - timedelta(days=1)), 0.3),
        unjudged(dispute("disputed", "fraudulent")),
        scored(charge("returned", 1_000), 0.001),
        unjudged(dispute("returned", "product_not_received")),
        scored(charge("old", 50_000, YESTERDAY - timedelta(days=200)), 0.95),
        unjudged(charge("without a score", 50_000)),
    ]
    await writer.write(bronze, rows, "wf")
    done = call(database_settings, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["threshold"], answer["days"]) == (0.9, 90)
    (dollars,) = answer["currencies"]
    assert (dollars["currency"], dollars["payments"], dollars["frauds"]) == ("USD", 3, 2)
    assert dollars["today"] == {"loss_minor": 103_000, "reviews": 0, "declines": 0}
    assert dollars["proposed"] == {"loss_minor": 600, "reviews": 2, "declines": 0}
    assert dollars["saved_minor"] == 102_400
    assert dollars["saved_minor_lower"] <= 102_400 <= dollars["saved_minor_upper"]
    shown = call(database_settings)
    assert shown.returncode == 0, shown.stderr
    assert "1,024.00" in shown.stdout


def test_no_payments_and_a_wrong_policy_are_said(database_settings: Settings) -> None:
    empty = call(database_settings)
    assert empty.returncode == 0, empty.stderr
    assert "No scored payment of the last 90 days" in empty.stdout
    missing = call(database_settings, "--policy", "/nowhere.toml")
    assert missing.returncode == 2
    assert "The policy /nowhere.toml can't be read" in missing.stderr
    assert "Traceback" not in missing.stderr
