"""Is every event in bronze, in the lake and in the facts, once and with the same amounts?"""

from datetime import UTC, datetime, time, timedelta
from typing import Final

import dagster as dg

from orchestration_dagster.naming import lake_key
from orchestration_dagster.refusals import one_sentence
from orchestration_dagster.resources import PipelineSettings
from payment_pipeline.ledger.check import ledger_verdict
from payment_pipeline.ledger.window import Window

DAYS: Final = 2
"""How much is held against each other, by receipt: today and the days before it."""


@dg.asset_check(
    asset=lake_key("payment_events"),
    name="ledger_agrees",
    description="Counts and hash totals by day and currency: bronze = lake = facts, by the ledger.",
)
def ledger_agrees(settings: PipelineSettings) -> dg.AssetCheckResult:
    """The facts take part once they are built; what the next load brings is no fault."""
    now = datetime.now(UTC)
    since = datetime.combine(now.date() - timedelta(days=DAYS - 1), time.min, UTC)
    with one_sentence():
        verdict = ledger_verdict(settings.load(), Window(since, now))
    return dg.AssetCheckResult(
        passed=verdict.ok,
        description=verdict.sentence,
        metadata={name: verdict.figures[name] for name in ("days", "pending")},
    )
