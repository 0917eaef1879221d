"""Does Kafka keep what is still needed for long enough, and does anything hold the lake back?

Asked of a stack that runs; of one that doesn't there is nothing to say.
"""

import asyncio
from typing import Final

import psycopg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from local_stack.component import Check
from payment_pipeline import providers
from payment_pipeline.adapters import kafka, topic_configs
from payment_pipeline.adapters.kafka_ranges import RangeStalledError
from payment_pipeline.adapters.sql import queries
from payment_pipeline.domain.failures import UserError
from payment_pipeline.orchestrator.retention_headroom import Headroom, headrooms, ranges_under_way
from payment_pipeline.settings import Settings

HORIZON_AGE_S_MAX: Final = 60.0
"""A writer's transaction takes a tenth of a second, and PostgreSQL ends an idle one after this."""
DAY_S: Final = 86_400
UNKNOWN: Final = "which ranges are under way, and from where on, is unknown while Temporal is down"

_SQL: Final = queries(__package__, "retention_checks.sql")


def checks(settings: Settings) -> list[Check]:
    """What is red or green of the stores that answer."""
    kafka.quiet()
    return [*asyncio.run(_kafka(settings)), *_horizon(settings)]


async def _kafka(settings: Settings) -> list[Check]:
    try:
        retention = await _retention(settings)
        under_way = await ranges_under_way(settings)
        found = await headrooms(settings, under_way or {})
        return [retention, judged(found, all_known=under_way is not None)]
    except (UserError, KafkaError, RangeStalledError, OSError):
        return []


def judged(found: list[Headroom], *, all_known: bool) -> Check:
    """The most urgent claim as a line of the doctor's.

    Without Temporal what isn't dispatched is known, and what is under way is not: that is red.
    """
    if not all_known and all(claim.ok for claim in found):
        return Check("Claims", False, UNKNOWN, "bring Temporal back: `payments up`, then ask again")
    if not found:
        return Check("Claims", True, "nothing on the topics is still needed", "")
    worst = found[0]
    where = f"{worst.topic}/{worst.partition} from offset {worst.offset} on"
    if worst.lost:
        return Check(
            "Claims",
            False,
            f"{where}: {worst.lost} offsets that were needed are gone",
            "run `payments audit`, and replay their time: docs/runbooks/replay-and-restore.md",
        )
    said = (
        f"{where} is needed, {worst.age_s:,.0f} s old of {worst.retention_s / DAY_S:,.1f} days' "
        f"retention ({worst.share:.0%})"
    )
    return Check(
        "Claims",
        worst.ok,
        said,
        "raise PAYMENTS_KAFKA_RETENTION_MS and run `payments migrate`, then bring back what is "
        "behind: docs/runbooks/alerts.md#claimsexpire",
    )


async def _retention(settings: Settings) -> Check:
    """Whether the topics keep records as long as the settings say."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await admin.start()
        there = set(await admin.list_topics()) & set(providers.topics())
        held = await topic_configs.read(admin, there)
    finally:
        await admin.close()
    wanted = kafka.configs(settings)[topic_configs.RETENTION_MS]
    name = topic_configs.RETENTION_MS
    short = sorted(topic for topic in held if topic_configs.is_less(held[topic].get(name), wanted))
    said = f"{short[0]} keeps records for less than the settings say" if short else "as set"
    return Check("Retention", not short, said, "run `payments migrate`, which raises it")


def _horizon(settings: Settings) -> list[Check]:
    try:
        with psycopg.connect(settings.dsn, autocommit=True, connect_timeout=2) as connection:
            row = connection.execute(_SQL["oldest_writer"]).fetchone()
    except (psycopg.Error, UserError):
        return []
    if row is None:
        return [Check("Horizon", True, "no transaction holds the lake back", "")]
    pid, name, database, age_s = row
    if pid is None:
        said = f"the transaction {name} of {database} has been prepared for {age_s:.0f} s"
        end = f"`ROLLBACK PREPARED '{name}'` in {database}"
    else:
        said = f"a transaction of {name or 'somebody'} (pid {pid}) has been writing {age_s:.0f} s"
        end = f"`SELECT pg_terminate_backend({pid})`"
    remedy = f"end it if it is nobody's work: {end}"
    return [Check("Horizon", age_s <= HORIZON_AGE_S_MAX, said, remedy)]
