"""Clients of PostgreSQL, Temporal and Kafka over TLS, with real certificates and real servers."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pytest
from sqlalchemy import create_engine, text

from local_stack import certificates, roles
from payment_pipeline.adapters import postgres, temporal
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from support.tls_front import Front, front

pytestmark = pytest.mark.stack


def ask_psycopg(dsn: str) -> object:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT 1").fetchone()


def ask_asyncpg(settings: Settings) -> object:
    async def ask() -> object:
        pool = await postgres.pool(settings)
        try:
            return await pool.fetchval("SELECT 1")
        finally:
            await pool.close()

    return asyncio.run(ask())


def ask_adbc(dsn: str) -> object:
    with adbc.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()


def ask_sqlalchemy(dsn: str) -> object:
    engine = create_engine(dsn)
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT 1")).scalar()
    finally:
        engine.dispose()


DRIVERS: dict[str, Callable[[Settings], object]] = {
    "asyncpg": ask_asyncpg,
    "psycopg": lambda settings: ask_psycopg(settings.dsn),
    "adbc": lambda settings: ask_adbc(settings.dsn_as("lake")),
    "dagster's storage": lambda settings: ask_sqlalchemy(
        settings.dagster_storage.replace("/dagster?", f"/{settings.postgres_database}?")
    ),
}


@pytest.fixture(scope="module")
def database(stores: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("tls"), stores.postgres_port, postgres=True) as found:
        yield found


def over_tls(stores: Settings, front: Front, **more: object) -> Settings:
    dsn = stores.dsn.replace(f":{stores.postgres_port}/", f":{front.port}/")
    return stores.model_validate({**stores.model_dump(), "postgres_dsn": dsn, **more})


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_driver_checks_the_server_of_postgresql(
    driver: str, stores: Settings, database: Front, tmp_path: Path
) -> None:
    ask = DRIVERS[driver]
    known = over_tls(stores, database, postgres_authorities=database.authority)
    assert ask(known) in (1, (1,))
    other = certificates.ensure(stores.model_copy(update={"var": tmp_path}), "other").authority
    with pytest.raises(Exception, match=r"(?i)certificate|SSLCertVerificationError"):
        ask(over_tls(stores, database, postgres_authorities=other))
    by_another_name = known.model_validate(
        {**known.model_dump(), "postgres_dsn": str(known.dsn).replace("127.0.0.1", "localhost")}
    )
    with pytest.raises(Exception, match=r"(?i)certificate|SSLCertVerificationError"):
        ask(by_another_name)


@pytest.mark.parametrize("driver", DRIVERS)
def test_no_driver_goes_on_without_tls(driver: str, stores: Settings, database: Front) -> None:
    """The real PostgreSQL of the stack refuses TLS: a driver must not fall back to clear text."""
    plain = stores.model_validate(
        {
            **stores.model_dump(),
            "postgres_dsn": stores.dsn,
            "postgres_authorities": database.authority,
        }
    )
    with pytest.raises(Exception, match=r"(?i)SSL|ConnectionError"):
        DRIVERS[driver](plain)


async def test_the_superuser_s_connection_is_checked_too(
    stores: Settings, database: Front, tmp_path: Path
) -> None:
    """`payments migrate` sends its password only to a server that the authorities certify."""
    address = {"postgres_address": f"127.0.0.1:{database.port}"}
    known = {**stores.model_dump(), **address, "postgres_authorities": database.authority}
    await roles.ensure(stores.model_validate(known))
    other = certificates.ensure(stores.model_copy(update={"var": tmp_path}), "other").authority
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        await roles.ensure(stores.model_validate({**known, "postgres_authorities": other}))


@pytest.fixture(scope="module")
def frontend(stores: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("tls"), stores.temporal_port, mutual=True) as found:
        yield found


def temporal_over(stores: Settings, front: Front, **more: object) -> Settings:
    address = {"temporal_address": f"127.0.0.1:{front.port}"}
    return stores.model_validate({**stores.model_dump(), **address, **more})


async def test_temporal_is_reached_with_a_certificate_and_an_api_key(
    stores: Settings, frontend: Front
) -> None:
    known = temporal_over(
        stores,
        frontend,
        temporal_authorities=frontend.authority,
        temporal_certificate=frontend.certificate,
        temporal_api_key="an api key with enough characters",
    )
    client = await temporal.connect(known)
    assert [found async for found in client.list_workflows(f"WorkflowId = '{uuid4()}'")] == []
    assert client.api_key == "an api key with enough characters"


async def test_temporal_is_not_reached_without_the_certificate_or_over_clear_text(
    stores: Settings, frontend: Front, tmp_path: Path
) -> None:
    other = certificates.ensure(stores.model_copy(update={"var": tmp_path}), "other")
    shown = {"temporal_certificate": frontend.certificate}
    for options in (
        {"temporal_authorities": frontend.authority},
        {"temporal_authorities": frontend.authority, "temporal_certificate": other.server},
        {"temporal_authorities": other.authority, **shown},
        {"temporal_tls": True, **shown},
    ):
        with pytest.raises(UserError, match=r"is down, or refuses TLS"):
            await temporal.connect(temporal_over(stores, frontend, **options))
    with pytest.raises(UserError, match="does not answer"):
        await temporal.connect(temporal_over(stores, frontend))
