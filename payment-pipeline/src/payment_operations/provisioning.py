"""Provisioning of the stores: PostgreSQL's schema, Kafka's topics, Temporal's search attributes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import psycopg
from aiokafka.errors import KafkaConnectionError, KafkaError

from local_stack import kafka_users, roles
from payment_pipeline import providers
from payment_pipeline.adapters import kafka, postgres
from payment_pipeline.adapters.temporal import ensure_search_attributes
from payment_pipeline.bronze import refold
from payment_pipeline.bronze.migrate import migrate as migrate_bronze
from payment_pipeline.bronze.migrate import primary_message
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

REFOLD_CONNECTIONS: Final = 3
"""One connection holds the lock, one reads its snapshot, one writes."""

Step = Callable[[Settings], Awaitable[tuple[str, ...]]]
"""Provisions one ready store, idempotently; returns the names of what it created."""


async def _schema(settings: Settings) -> tuple[str, ...]:
    if settings.postgres_dsn is None:
        try:
            await roles.ensure(settings)
        except psycopg.OperationalError as refusal:
            raise postgres.unreachable(settings.dsn, type(refusal).__name__) from refusal
        except psycopg.Error as refusal:
            said = primary_message(refusal)
            raise UserError(
                f"PostgreSQL refused to create the roles: {said}. Check the rights of the database "
                "user, then call the command again.",
                exit_code=1,
            ) from refusal
    migrated = await asyncio.to_thread(migrate_bronze, settings)
    return (*migrated, *await _features(settings))


async def _features(settings: Settings) -> tuple[str, ...]:
    """Compute the features that a migration or a correction made stale, and say how many."""
    pool = await postgres.pool(
        settings, size_max=REFOLD_CONNECTIONS, application="payments-migrate"
    )
    try:
        if not await refold.is_due(pool):
            return ()
        async with refold.lock(pool):
            return (f"features of {await refold.refold(pool):,} entities",)
    except UserError as running:
        return (f"stale features ({running} Then call the command again.)",)
    finally:
        await pool.close()


async def _topics(settings: Settings) -> tuple[str, ...]:
    try:
        if settings.local_kafka_has_users:
            await kafka_users.ensure(settings)
        return await kafka.ensure_topics(settings, providers.topics())
    except KafkaConnectionError as refusal:
        raise kafka.unreachable(settings, refusal) from refusal
    except KafkaError as refusal:
        raise UserError(
            f"Kafka refused to create or change the topics: {refusal}. Check `payments logs "
            "kafka`, then call the command again.",
            exit_code=1,
        ) from refusal


# Temporal first: a process that ends right after the last call of Temporal's SDK may abort.
STEPS: Final[dict[str, Step]] = {
    "temporal": ensure_search_attributes,
    "postgres": _schema,
    "kafka": _topics,
}


async def migrate(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Provision every store; return what was created, by store.

    Raises:
        UserError: a store can't be reached or refuses.
    """
    return {store: await step(settings) for store, step in STEPS.items()}
