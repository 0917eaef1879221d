"""Runs a replay: reads a window of raw records, compares them with bronze, and corrects bronze.

Bronze is compared before anything is written. So a second replay, or one over events that are still
in progress, changes nothing twice. After a crash the replay is run again.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import asyncpg

from payment_pipeline.adapters import kafka, postgres
from payment_pipeline.bronze import refold
from payment_pipeline.dlq.dead_letter_store import Closer
from payment_pipeline.domain import topics
from payment_pipeline.domain.failures import UserError
from payment_pipeline.normalizer.version import normalizer_version
from payment_pipeline.providers import Context, providers
from payment_pipeline.settings import Settings

from .raw_records import raw_topics, unmodelled
from .replay_batch import Replayed, Request, Stores
from .replay_outcome import ReplayOutcome, Report
from .replayed_dead_letters import Letters

BATCH_RECORDS: Final = 500
CONNECTIONS_MAX: Final = 4
"""One connection holds the lock, one recomputes features from its snapshot, one writes."""


async def replay(settings: Settings, request: Request, progress: Callable[[str], None]) -> Report:
    """Replay a window.

    Raises:
        UserError: the provider is unknown, another replay is at work, or a store does not answer.
    """
    began = monotonic()
    report = Report(f"replay/{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", request.dry_run)
    context = Context(settings.secret("pseudonym_key").encode(), normalizer_version())
    wanted = raw_names(request.provider)
    pool = await postgres.pool(settings, size_max=CONNECTIONS_MAX, application="payments-replay")
    sink = kafka.producer(settings)
    try:
        async with refold.lock(pool), raw_topics(settings, wanted, request.window) as source:
            report.complete = source.complete
            await sink.start()
            letters = Letters(pool, Closer(report.by, f"normalizer {context.normalizer_version}"))
            stores = Stores(pool, sink, letters, await unmodelled(settings, request.window))
            replayed = Replayed(stores, context, request, report)
            async for records in source.batches(BATCH_RECORDS):
                await replayed.batch(records)
                corrected = report.outcomes[ReplayOutcome.CORRECTED]
                progress(f"{report.records:,} records, {corrected:,} corrected")
                await _pace(request.rate, report.records, began)
            if not request.dry_run:
                progress("recomputing the features")
                report.refolded = await refold.refold(pool)
                progress("closing dead letters")
                await letters.settle(request.wait_s)
            report.letters_closed, report.letters_open = letters.closed, letters.open
    except asyncpg.UndefinedTableError:
        raise UserError("Bronze lacks tables. Create them with `payments migrate`.") from None
    finally:
        await sink.stop()
        await pool.close()
    report.seconds = monotonic() - began
    return report


def raw_names(provider: str | None) -> Sequence[str]:
    """Return the raw topics of one provider or of all, with `webhooks.dlq` last.

    Raises:
        UserError: the provider is unknown.
    """
    known = providers()
    if provider is not None and provider not in known:
        raise UserError(f"No provider {provider}: there are {', '.join(known)}.")
    found = [known[provider]] if provider else list(known.values())
    raw = [topics.raw(each.name, resource) for each in found for resource in each.resources]
    return [*raw, topics.DLQ_WEBHOOKS]


async def _pace(rate: float, records: int, began: float) -> None:
    """Wait until the rate allows this number of records."""
    if rate:
        await asyncio.sleep(max(0.0, began + records / rate - monotonic()))
