"""Tests of S3, the Iceberg catalog and Trino together, and of the rights of Trino's users."""

import uuid
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import aiohttp
import pytest
from pydantic import SecretStr
from trino.dbapi import Connection
from trino.exceptions import TrinoQueryError

from local_stack import supervisor
from local_stack.components import components
from orchestration_dagster.lake import compare
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.loader import load
from payment_pipeline.adapters.trino import CATALOG
from payment_pipeline.settings import Settings
from support.lake_loads import EVENTS, insert, own_lake
from support.listeners import ports_and_strangers

pytestmark = pytest.mark.stack
REFUSED = "Access Denied|No matching resource group"


def connection(settings: Settings, user: str) -> Connection:
    where = urlsplit(settings.trino)
    host = where.hostname or settings.host
    return Connection(host=host, port=where.port, user=user, catalog=CATALOG)


def ask(settings: Settings, query: str, user: str = "") -> list[list[object]]:
    with connection(settings, user or settings.trino_user) as opened:
        found: list[list[object]] = opened.cursor().execute(query).fetchall()
        return found


@pytest.fixture(scope="module")
def schema(lakehouse: Settings) -> Iterator[str]:
    """A schema for this module, with one table of two rows."""
    name = f"stack_{uuid.uuid4().hex[:8]}"
    ask(lakehouse, f"CREATE SCHEMA {name}")
    ask(lakehouse, f"CREATE TABLE {name}.amounts (currency varchar, amount bigint)")
    ask(lakehouse, f"INSERT INTO {name}.amounts VALUES ('EUR', 1999), ('JPY', 500)")
    yield name
    ask(lakehouse, f"DROP TABLE {name}.amounts")
    ask(lakehouse, f"DROP SCHEMA {name}")


def test_a_lakehouse_at_given_addresses_takes_the_same_loads(
    lakehouse: Settings, fresh_stack: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each service is given as an address with keys, as for an own catalog and cluster."""
    keys = {name: lakehouse.secret(name) for name in ("s3_access_key", "s3_secret_key")}
    here = fresh_stack(
        *("postgres", "trino"),
        catalog_uri=lakehouse.catalog,
        s3_endpoint=lakehouse.s3,
        trino_url=lakehouse.trino,
        **{name: SecretStr(value) for name, value in keys.items()},
    )
    started = {name for name, info in supervisor.states(here).items() if info["pid"]}
    assert started == {"postgres"}, "what is elsewhere is not started"
    with own_lake(here, monkeypatch) as settings:
        insert(settings, "a", 5)
        load(settings, EVENTS.name)
        assert compare.differences(settings, EVENTS.name) == []
        namespace, name = EVENTS.identifier
        found = f"SELECT count(*), sum(amount_minor) FROM {namespace}.{name}"
        assert ask(here, found) == ask(lakehouse, found) == [[5, 515]]


async def test_both_are_ready(lakehouse: Settings) -> None:
    assert await components()["seaweedfs"].ready(lakehouse)
    assert await components()["trino"].ready(lakehouse)


def test_every_listener_is_on_loopback(lakehouse: Settings) -> None:
    inside, outside = ports_and_strangers(lakehouse)
    assert outside == []
    assert {lakehouse.trino_port, lakehouse.s3_port, lakehouse.catalog_port} <= inside


def test_pyiceberg_reads_rows_that_trino_wrote(lakehouse: Settings, schema: str) -> None:
    table = open_catalog(lakehouse).load_table(f"{schema}.amounts")
    rows = table.scan().to_arrow().sort_by("currency").to_pylist()
    assert rows == [{"currency": "EUR", "amount": 1999}, {"currency": "JPY", "amount": 500}]
    assert table.location().startswith(lakehouse.catalog_warehouse)


def test_the_reader_reads(lakehouse: Settings, schema: str) -> None:
    query = f"SELECT sum(amount) FROM {schema}.amounts WHERE currency = 'EUR'"
    assert ask(lakehouse, query, lakehouse.trino_reader) == [[1999]]


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO {schema}.amounts VALUES ('USD', 1)",
        "DELETE FROM {schema}.amounts",
        "DROP TABLE {schema}.amounts",
        "CREATE TABLE {schema}.mine (a bigint)",
        "CREATE SCHEMA mine",
        "ALTER TABLE {schema}.amounts EXECUTE expire_snapshots",
    ],
)
@pytest.mark.parametrize("who", ["reader", "stranger"])
def test_other_users_can_not_write(lakehouse: Settings, schema: str, query: str, who: str) -> None:
    user = lakehouse.trino_reader if who == "reader" else "stranger"
    with pytest.raises(TrinoQueryError, match=REFUSED):
        ask(lakehouse, query.format(schema=schema), user)
    assert ask(lakehouse, f"SELECT count(*) FROM {schema}.amounts") == [[2]]


def test_the_reader_can_not_impersonate_another_user(lakehouse: Settings) -> None:
    with pytest.raises(TrinoQueryError, match=REFUSED):
        ask(lakehouse, "SET SESSION AUTHORIZATION payments", lakehouse.trino_reader)


async def test_s3_and_the_catalog_ask_for_a_key(lakehouse: Settings) -> None:
    async with aiohttp.ClientSession() as session:
        for url in (f"{lakehouse.s3}/lakehouse", f"{lakehouse.catalog}/v1/lakehouse/namespaces"):
            async with session.get(url) as answer:
                assert answer.status == 403
    forged = lakehouse.model_copy(update={"catalog_credential": None, "catalog_auth": "sigv4"})
    assert open_catalog(forged).list_namespaces(), "the right key opens it the other way too"
