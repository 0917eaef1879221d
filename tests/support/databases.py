"""Where does a test write that must not see, or be seen by, the others on the same PostgreSQL?"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql
from pydantic import SecretStr

from payment_pipeline.bronze.migrate import migrate
from payment_pipeline.settings import Settings


@contextmanager
def empty_schema(settings: Settings) -> Iterator[Settings]:
    """A schema of one's own in the settings' database, dropped at the end.

    The settings that it yields name the schema in their DSN, which psycopg, asyncpg and yoyo all
    understand; the pipeline's role may make schemas, and no databases.
    """
    name = f"test_{uuid4().hex}"
    schema = sql.Identifier(name)
    with psycopg.connect(settings.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        try:
            dsn = f"{settings.dsn}?options=-csearch_path%3D{name}"
            yield settings.model_copy(update={"postgres_dsn": SecretStr(dsn)})
        finally:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))


@contextmanager
def migrated_schema(settings: Settings) -> Iterator[Settings]:
    """The same, with today's tables."""
    with empty_schema(settings) as own:
        migrate(own)
        yield own
