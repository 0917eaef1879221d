"""Tests of S3, the Iceberg catalog and Trino together, and of the rights of Trino's users."""

import ssl
import uuid
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import aiohttp
import psutil
import pytest
from pydantic import SecretStr
from trino.exceptions import Error, HttpError, TrinoQueryError

from conftest import stack_settings
from local_stack import certificates, jar_sbom, supervisor
from local_stack.components import components, seaweedfs, trino
from orchestration_dagster.lake import compare
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.loader import load
from payment_pipeline.adapters.trino import connect, connection_without_check
from payment_pipeline.settings import Settings, TrinoUser
from support import knocks, processes
from support.dbt_project import Dbt
from support.lake_loads import EVENTS, insert, own_lake
from support.listeners import ports_and_strangers

pytestmark = pytest.mark.stack
REFUSED = "Access Denied|No matching resource group"


def ask(settings: Settings, query: str, user: TrinoUser = "owner") -> list[list[object]]:
    with connect(settings, user=user) as opened:
        found: list[list[object]] = opened.cursor().execute(query).fetchall()
        return found


@pytest.fixture(scope="module")
def schema(lakehouse: Settings) -> Iterator[str]:
    """A schema for this module, with one table of two rows."""
    name = f"stack_{uuid.uuid4().hex[:8]}_marts"
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
    secrets = ("s3_access_key", "s3_secret_key", "trino_password", "trino_reader_password")
    keys = {name: lakehouse.secret(name) for name in secrets}
    here = fresh_stack(
        *("postgres", "trino"),
        catalog_uri=lakehouse.catalog,
        s3_endpoint=lakehouse.s3,
        trino_url=lakehouse.trino,
        trino_authorities=lakehouse.trino_certified_by,
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


def test_every_installed_jar_is_in_the_bill_of_materials(lakehouse: Settings) -> None:
    listed = {next(iter(each.hashes)).content for each in jar_sbom.bom().components}
    installed = {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in trino.home(lakehouse).rglob("*.jar")
    }
    assert len(installed) > 400
    assert {name for name, content in installed.items() if content not in listed} == set()


def test_pyiceberg_reads_rows_that_trino_wrote(lakehouse: Settings, schema: str) -> None:
    table = open_catalog(lakehouse).load_table(f"{schema}.amounts")
    rows = table.scan().to_arrow().sort_by("currency").to_pylist()
    assert rows == [{"currency": "EUR", "amount": 1999}, {"currency": "JPY", "amount": 500}]
    assert table.location().startswith(lakehouse.catalog_warehouse)


def test_the_reader_reads(lakehouse: Settings, schema: str) -> None:
    query = f"SELECT sum(amount) FROM {schema}.amounts WHERE currency = 'EUR'"
    assert ask(lakehouse, query, "reader") == [[1999]]


def test_the_reader_reads_no_schema_but_the_marts(lakehouse: Settings) -> None:
    name = f"stack_{uuid.uuid4().hex[:8]}"
    ask(lakehouse, f"CREATE SCHEMA {name}")
    ask(lakehouse, f"CREATE TABLE {name}.cards (last4 varchar)")
    with pytest.raises(TrinoQueryError, match="Access Denied"):
        ask(lakehouse, f"SELECT * FROM {name}.cards", "reader")
    assert ask(lakehouse, f"SHOW TABLES FROM {name}", "reader") == []
    ask(lakehouse, f"DROP TABLE {name}.cards")
    ask(lakehouse, f"DROP SCHEMA {name}")


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
def test_the_reader_can_not_write(lakehouse: Settings, schema: str, query: str) -> None:
    with pytest.raises(TrinoQueryError, match=REFUSED):
        ask(lakehouse, query.format(schema=schema), "reader")
    assert ask(lakehouse, f"SELECT count(*) FROM {schema}.amounts") == [[2]]


def test_the_reader_can_not_impersonate_another_user(lakehouse: Settings) -> None:
    with pytest.raises(TrinoQueryError, match=REFUSED):
        ask(lakehouse, "SET SESSION AUTHORIZATION payments", "reader")


@pytest.mark.parametrize(
    "given",
    [
        {"trino_password": SecretStr("wrong")},
        {"trino_user": "stranger"},
        {"trino_user": "superset"},  # with the owner's password
    ],
    ids=["wrong password", "stranger", "the owner's password"],
)
def test_trino_asks_for_each_user_s_own_password(
    lakehouse: Settings, given: dict[str, object]
) -> None:
    with pytest.raises(HttpError, match="401"):
        ask(lakehouse.model_copy(update=given), "SELECT 1")


async def test_trino_has_no_port_without_tls(lakehouse: Settings) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(lakehouse.trino.replace("https:", "http:") + "/v1/info")


@pytest.fixture
def impostor(lakehouse: Settings, tmp_path: Path) -> Iterator[tuple[Settings, list[str]]]:
    """A server in Trino's place with another authority's certificate, and the headers it got."""
    server = certificates.ensure(stack_settings(tmp_path), "trino").server
    told: list[str] = []

    class Listens(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.append(str(self.headers))
            self.send_error(503)

        do_POST = do_GET  # noqa: N815 - the names of the base class

        def log_message(self, *_: object) -> None:
            """Not on the terminal."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    with ThreadingHTTPServer((lakehouse.host, 0), Listens) as listener:
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        serving = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield lakehouse.model_copy(update={"trino_port": listener.server_address[1]}), told
        listener.shutdown()
        serving.join()


def test_no_client_tells_a_server_with_another_certificate_the_password(
    impostor: tuple[Settings, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if the environment trusts the impostor: the HTTP library would prefer that."""
    there, told = impostor
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "secrets/trino.authority.pem"))
    with connection_without_check(there, attempts_max=1) as opened, pytest.raises(Error):
        opened.cursor().execute("SELECT 1")
    said = Dbt(there, tmp_path, "data", "").run("debug", "--connection", ok=False)
    assert "certificate verify failed" in said
    assert told == []


async def test_s3_and_the_catalog_ask_for_a_key(lakehouse: Settings) -> None:
    async with aiohttp.ClientSession() as session:
        for url in (f"{lakehouse.s3}/lakehouse", f"{lakehouse.catalog}/v1/lakehouse/namespaces"):
            async with session.get(url) as answer:
                assert answer.status == 403
    forged = lakehouse.model_copy(update={"catalog_credential": None, "catalog_auth": "sigv4"})
    assert open_catalog(forged).list_namespaces(), "the right key opens it the other way too"


async def test_no_port_of_the_object_store_admits_a_stranger(lakehouse: Settings) -> None:
    """The ports are the listeners of its process, so that a new port is tried too."""
    listening = {
        each.laddr.port
        for each in psutil.Process(processes.pid_of(lakehouse, "seaweedfs")).net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    }
    assert listening == {getattr(lakehouse, name) for name in seaweedfs.PORTS.values()}
    given = {port: await knocks.knock(lakehouse.host, port) for port in listening}
    # Answers without a body; and the warehouse's name, which the client gave.
    assert given.pop(lakehouse.s3_port) <= {"GET /status", "GET /healthz", "GET /readyz"}
    assert given.pop(lakehouse.catalog_port) <= {"GET /v1/config"}
    assert {port: gives for port, gives in given.items() if gives} == {}


async def test_no_page_of_a_stranger_may_write_to_the_lake(lakehouse: Settings) -> None:
    for url in (f"{lakehouse.s3}/lakehouse/knock", f"{lakehouse.catalog}/v1/lakehouse/namespaces"):
        assert await knocks.foreign_origin(url) is None
