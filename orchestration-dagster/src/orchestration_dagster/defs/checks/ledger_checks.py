"""Hourly checks by the ledger: every webhook has one destination, and all amounts agree."""

from datetime import UTC, datetime, time, timedelta
from typing import Final

import dagster as dg

from orchestration_dagster.naming import lake_key
from orchestration_dagster.settings_resource import PipelineSettings
from orchestration_dagster.user_errors import user_errors_as_failures
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.ledger_verdict import Verdict, ledger_verdict, whole_verdict

DAYS: Final = 2
"""The days that `ledger_agrees` compares, by time of receipt: today and the day before."""
WHOLE_WAY: Final = timedelta(minutes=70)
"""The window of `every_webhook_has_its_place`, which reads the topics too: a little more than the
hour between two checks. `payments audit` covers longer windows and a client's own ledger."""


@dg.asset_check(
    asset=lake_key("payment_events"),
    name="ledger_agrees",
    description="Counts and hash totals by day and currency: bronze = lake = facts, by the ledger.",
)
def ledger_agrees(settings: PipelineSettings) -> dg.AssetCheckResult:
    """Compares the facts too, once they exist. Rows that the next load brings are no difference."""
    now = datetime.now(UTC)
    since = datetime.combine(now.date() - timedelta(days=DAYS - 1), time.min, UTC)
    with user_errors_as_failures():
        verdict = ledger_verdict(settings.load(), Window(since, now))
    return _result(verdict)


@dg.asset_check(
    asset=lake_key("payment_events"),
    name="every_webhook_has_its_place",
    description="Each signed webhook of the last hour is normalized, rejected or unmodelled, and "
    "each normalized or rejected one is in bronze or the quarantine once. See `payments audit`.",
)
def every_webhook_has_its_place(settings: PipelineSettings) -> dg.AssetCheckResult:
    """Starts at the raw topics, so that it detects a loss before bronze too."""
    now = datetime.now(UTC)
    with user_errors_as_failures():
        verdict = whole_verdict(settings.load(), Window(now - WHOLE_WAY, now))
    return _result(verdict)


def _result(verdict: Verdict) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=verdict.ok,
        description=verdict.sentence,
        metadata={name: verdict.figures[name] for name in ("days", "pending")},
    )
