"""Is every webhook in its one place, and every row in bronze, lake and facts with its amounts?"""

from datetime import UTC, datetime, time, timedelta
from typing import Final

import dagster as dg

from orchestration_dagster.naming import lake_key
from orchestration_dagster.settings_resource import PipelineSettings
from orchestration_dagster.user_errors import user_errors_as_failures
from payment_pipeline.ledger.check import Verdict, ledger_verdict, whole_verdict
from payment_pipeline.ledger.window import Window

DAYS: Final = 2
"""How much is held against each other, by receipt: today and the days before it."""
WHOLE_WAY: Final = timedelta(minutes=70)
"""Of what was received so lately the topics are read too: a little more than the hour between two
looks. Over longer ones, and for what a client sent, there is `payments audit`."""


@dg.asset_check(
    asset=lake_key("payment_events"),
    name="ledger_agrees",
    description="Counts and hash totals by day and currency: bronze = lake = facts, by the ledger.",
)
def ledger_agrees(settings: PipelineSettings) -> dg.AssetCheckResult:
    """The facts take part once they are built; what the next load brings is no fault."""
    now = datetime.now(UTC)
    since = datetime.combine(now.date() - timedelta(days=DAYS - 1), time.min, UTC)
    with user_errors_as_failures():
        verdict = ledger_verdict(settings.load(), Window(since, now))
    return _result(verdict)


@dg.asset_check(
    asset=lake_key("payment_events"),
    name="every_webhook_has_its_place",
    description="Of the last hour's signed webhooks each is normalized, rejected or unmodelled, "
    "and each of the former in bronze or the quarantine, once: `payments audit`.",
)
def every_webhook_has_its_place(settings: PipelineSettings) -> dg.AssetCheckResult:
    """From the raw topics on, so that a loss before bronze is noticed without being asked for."""
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
