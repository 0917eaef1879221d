"""What must a store hold before a stage starts: schema, topics, search attributes?"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from payment_pipeline import providers
from payment_pipeline.adapters.kafka import ensure_topics
from payment_pipeline.adapters.temporal import ensure_search_attributes
from payment_pipeline.bronze.migrate import migrate as migrate_bronze
from payment_pipeline.settings import Settings

Step = Callable[[Settings], Awaitable[tuple[str, ...]]]
"""Provisions one store that is ready, idempotently; the names of what was missing and made."""


async def _schema(settings: Settings) -> tuple[str, ...]:
    return tuple(await asyncio.to_thread(migrate_bronze, settings))


async def _topics(settings: Settings) -> tuple[str, ...]:
    return await ensure_topics(settings, providers.topics())


STEPS: Final[dict[str, Step]] = {
    "postgres": _schema,
    "kafka": _topics,
    "temporal": ensure_search_attributes,
}


async def migrate(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Provision every store; what was made, by store.

    Raises:
        UserError: a store can't be reached.
        psycopg.Error, KafkaError, RPCError: a store refused.
    """
    return {store: await step(settings) for store, step in STEPS.items()}
