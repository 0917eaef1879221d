"""Separate PostgreSQL schemas, so that tests on one server do not see each other's rows."""

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
    """Create a schema in the database of the settings, and drop it at the end.

    Yields settings with the schema in the DSN, in a form that psycopg, asyncpg and yoyo understand.
    A separate database is not possible: the pipeline's role may create only schemas.
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
    """Create a schema with the current tables, and drop it at the end."""
    with empty_schema(settings) as own:
        migrate(own)
        yield own
