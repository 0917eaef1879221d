"""Checks of running stores: Kafka's retention, the retention headroom, the transaction horizon.

A store that does not run is not checked.
"""

import asyncio
from typing import Final

import psycopg
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
"""A writer's transaction takes 0.1 s. PostgreSQL ends an idle transaction after this time."""
DAY_S: Final = 86_400
RETENTION: Final = "Retention"
HEADROOM: Final = "Retention headroom"
HORIZON: Final = "Transaction horizon"

_SQL: Final = queries(__package__, "retention_checks.sql")


def checks(settings: Settings) -> list[Check]:
    """Check the stores that answer."""
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
    """Make a check of the smallest retention headroom.

    Args:
        found: the headrooms, smallest first.
        all_known: whether Temporal answered. Without Temporal the ranges under way are unknown, so
            the check is red.
    """
    if not all_known and all(headroom.ok for headroom in found):
        return Check(
            HEADROOM,
            False,
            "the ranges under way are unknown while Temporal is down",
            "start Temporal with `payments up`, then run this command again",
        )
    if not found:
        return Check(HEADROOM, True, "the pipeline has processed every record", "")
    worst = found[0]
    record = f"{worst.topic}/{worst.partition}, offset {worst.offset}"
    if worst.lost:
        return Check(
            HEADROOM,
            False,
            f"{record}: Kafka deleted {worst.lost} offsets before the pipeline processed them",
            "run `payments audit`, then replay the time of these records: "
            "docs/runbooks/replay-and-restore.md",
        )
    return Check(
        HEADROOM,
        worst.ok,
        f"the oldest unprocessed record ({record}) is {worst.age_s:,.0f} s old, {worst.share:.0%} "
        f"of the retention of {worst.retention_s / DAY_S:,.1f} days",
        "raise PAYMENTS_KAFKA_RETENTION_MS and run `payments migrate`, then restart the stage that "
        "is behind: docs/runbooks/alerts.md#claimsexpire",
    )


async def _retention(settings: Settings) -> Check:
    """Check whether each topic keeps records as long as the settings say."""
    admin = kafka.admin_client(settings)
    try:
        await admin.start()
        there = set(await admin.list_topics()) & set(providers.topics())
        held = await topic_configs.read(admin, there)
    finally:
        await admin.close()
    wanted = kafka.configs(settings)[topic_configs.RETENTION_MS]
    name = topic_configs.RETENTION_MS
    short = sorted(topic for topic in held if topic_configs.is_less(held[topic].get(name), wanted))
    finding = (
        f"{short[0]} keeps records for less time than PAYMENTS_KAFKA_RETENTION_MS"
        if short
        else "each topic keeps records as long as the settings say"
    )
    return Check(RETENTION, not short, finding, "run `payments migrate`, which raises it")


def _horizon(settings: Settings) -> list[Check]:
    """Check whether a long transaction keeps new rows from the lake."""
    try:
        with psycopg.connect(settings.dsn, autocommit=True, connect_timeout=2) as connection:
            row = connection.execute(_SQL["oldest_writer"]).fetchone()
    except (psycopg.Error, UserError):
        return []
    if row is None:
        return [Check(HORIZON, True, "no transaction keeps rows from the lake", "")]
    pid, name, database, age_s = row
    if pid is None:
        finding = f"transaction {name} of database {database} has been prepared for {age_s:.0f} s"
        end = f"`ROLLBACK PREPARED '{name}'` in {database}"
    else:
        client = name or "an unnamed client"
        finding = f"a transaction of {client} (pid {pid}) has been open for {age_s:.0f} s"
        end = f"`SELECT pg_terminate_backend({pid})`"
    remedy = f"the lake waits for it; if nobody needs it, end it: {end}"
    return [Check(HORIZON, age_s <= HORIZON_AGE_S_MAX, finding, remedy)]
