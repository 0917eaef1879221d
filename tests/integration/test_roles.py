"""Each service may do in PostgreSQL what its work needs, and nothing else."""

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors, sql
from pydantic import SecretStr

from conftest import own_stack
from local_stack import files, roles
from payment_operations import rotation
from payment_operations.stack_start import up
from payment_pipeline.adapters import postgres
from payment_pipeline.bronze.migrate import migrate
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Service, Settings
from support.normalized_events import until

pytestmark = pytest.mark.stack

EVENT_COLUMNS_SCORED = (
    "fraud_score = 0.1, churn_score = 0.1, retry_strategy = 'none', scores = '{}', "
    "inference_status = 'scored', ingest_xid = pg_current_xact_id()"
)
DEAD_LETTER = """
INSERT INTO payment_events_quarantine (
    source_topic, source_partition, source_offset, failure, provider, errors, component,
    component_version, body, body_sha256, verdict, received_at, rejected_at, workflow_id
) VALUES ('t', 0, 0, 'invalid', 'stripe', '[]', 'normalizer', '1', '', '', '', now(), now(), 'w')
ON CONFLICT (source_topic, source_partition, source_offset, failure) DO NOTHING
"""
AUDITED = """
SET TRANSACTION READ WRITE;
INSERT INTO ledger_audits (
    audit_id, audited_at, asked_by, window_until, is_clean, is_settled, has_client_ledger,
    received_events, normalized_events, rejected_events, unmodelled_events, bronze_events,
    quarantine_events, pending_events, missing_events, duplicated_events, unexplained_events,
    mismatched_events, elapsed_s
) VALUES ('a', now(), 'operator', now(), true, true, false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
"""
ACTED = """
INSERT INTO operator_actions (
    number, acted_at, action, stage, os_user, os_uid, host, detail, previous_hash, hash
) VALUES (1000000, now(), 'a', 'begun', 'u', 1, 'h', '{}', 'p', 'h')
"""
TABLES = ("payment_events", "payment_events_quarantine", "payment_decisions", "entity_features")


def attempt(dsn: str, statement: str) -> None:
    """Run one statement and undo it."""
    with psycopg.connect(dsn) as connection:
        connection.execute(sql.SQL(statement))
        connection.rollback()


@pytest.mark.parametrize(
    ("service", "statement"),
    [
        ("worker", "CREATE TEMPORARY TABLE incoming AS SELECT * FROM payment_events"),
        ("worker", f"UPDATE payment_events SET {EVENT_COLUMNS_SCORED} WHERE event_id = 'x'"),
        ("worker", "SELECT * FROM payment_events WHERE event_id = 'x' FOR UPDATE"),
        (
            "worker",
            "INSERT INTO entity_features (provider, entity, entity_id) VALUES ('p', 'card', 'c')",
        ),
        ("worker", "UPDATE entity_features SET events = 1 WHERE entity_id = 'x'"),
        ("worker", "SELECT token FROM erased_objects"),
        ("worker", DEAD_LETTER),
        ("reader", "SELECT topics_whole_from FROM erasures"),
        ("reader", AUDITED),
        ("lake", "SELECT timeline_id FROM pg_control_checkpoint()"),
        *(
            ("lake", f"SELECT * FROM {table}")
            for table in ("payment_events", "payment_decisions", "ledger_audits")
        ),
        ("lake", "SELECT errors, ingest_xid, id FROM payment_events_quarantine"),
        *(("reader", f"SELECT * FROM {table}") for table in TABLES),
        ("actions", ACTED),
        ("actions", "SELECT * FROM operator_actions"),
    ],
)
def test_a_service_may(stores: Settings, service: Service, statement: str) -> None:
    attempt(stores.dsn_as(service), statement)


@pytest.mark.parametrize(
    ("service", "statement"),
    [
        *(("worker", f"DELETE FROM {table}") for table in TABLES),
        *(("worker", f"TRUNCATE {table}") for table in TABLES),
        ("worker", "UPDATE payment_events SET amount_minor = 0"),
        ("worker", "UPDATE payment_events SET status = 'succeeded'"),
        ("worker", "UPDATE payment_events_quarantine SET body = ''"),
        ("worker", "SELECT body FROM payment_events_quarantine"),
        ("worker", "SELECT errors FROM payment_events_quarantine WHERE failure = 'invalid'"),
        ("worker", "UPDATE payment_decisions SET outcome = 'approved'"),
        ("worker", "DROP TABLE payment_events"),
        ("worker", "UPDATE erased_objects SET token = ''"),
        ("reader", "SELECT token FROM erased_objects"),
        ("worker", "CREATE TABLE mine (a int)"),
        ("worker", "DELETE FROM _yoyo_migration"),
        ("worker", "COPY payment_events TO '/tmp/all'"),
        ("lake", "SELECT * FROM entity_features"),
        ("lake", "SELECT body FROM payment_events_quarantine"),
        ("lake", "CREATE TEMPORARY TABLE mine (a int)"),
        ("reader", AUDITED.replace("SET TRANSACTION READ WRITE;", "")),
        ("reader", "SET TRANSACTION READ WRITE; UPDATE ledger_audits SET is_clean = true"),
        ("lake", AUDITED),
        ("actions", "UPDATE operator_actions SET claimed_by = 'somebody'"),
        ("actions", "DELETE FROM operator_actions"),
        ("actions", "TRUNCATE operator_actions"),
        ("actions", "ALTER TABLE operator_actions DISABLE TRIGGER ALL"),
        *(("actions", f"SELECT * FROM {table}") for table in TABLES),
        *((service, ACTED) for service in ("worker", "lake")),
        ("reader", f"SET TRANSACTION READ WRITE; {ACTED}"),
        ("reader", "SELECT rolpassword FROM pg_authid"),
        ("reader", "SELECT pg_read_file('/etc/passwd')"),
    ],
)
def test_a_service_may_not(stores: Settings, service: Service, statement: str) -> None:
    with pytest.raises((errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)):
        attempt(stores.dsn_as(service), statement)


@pytest.mark.parametrize("service", ["lake", "reader"])
@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM payment_events", "INSERT INTO entity_features VALUES ('p', 'card', 'c')"],
)
def test_who_reads_writes_nothing_even_in_a_transaction_that_could(
    stores: Settings, service: Service, statement: str
) -> None:
    with pytest.raises(errors.ReadOnlySqlTransaction):
        attempt(stores.dsn_as(service), statement)
    with pytest.raises(errors.InsufficientPrivilege):
        attempt(stores.dsn_as(service), f"SET TRANSACTION READ WRITE; {statement}")


def test_no_service_s_password_opens_another_s_door(stores: Settings) -> None:
    found = [stores.secret(name) for name in roles.passwords(stores).values()]
    assert stores.secret("postgres_admin_password") not in found
    assert len(set(found)) == len(found)
    admin = stores.dsn.replace("//payments:", "//postgres:")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(admin)


@pytest.mark.parametrize("service", ["worker", "lake", "reader"])
def test_dagster_s_database_is_closed_to_the_services(stores: Settings, service: Service) -> None:
    elsewhere = stores.model_copy(update={"postgres_database": "dagster"})
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(elsewhere.dsn_as(service))


@pytest.mark.parametrize("database", ["postgres", "template1", "template0"])
def test_the_server_s_own_databases_are_closed_to_every_role(
    stores: Settings, database: str
) -> None:
    for role, secret in roles.passwords(stores).items():
        there = f"postgresql://{role}:{stores.secret(secret)}@{stores.host}:{stores.postgres_port}"
        with pytest.raises(psycopg.OperationalError, match=r"permission denied|not currently acc"):
            psycopg.connect(f"{there}/{database}")


async def test_the_log_says_who_connected_and_who_was_refused(stores: Settings) -> None:
    log = files.log_path(stores, "postgres")
    with psycopg.connect(stores.dsn_as("lake")) as connection:
        process = connection.info.backend_pid
    refused = stores.dsn_as("lake").replace(stores.secret("postgres_lake_password"), "wrong")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(refused)
    there = f"payments_lake@{stores.postgres_database} {stores.host}"
    for expected in (
        rf"\[{process}\] {there}\S* LOG:  connection authorized: user=payments_lake",
        rf"\[{process}\] {there}\S* LOG:  disconnection: session time",
        rf"{there}\S* FATAL:  password authentication failed",
    ):
        said = re.compile(expected)
        await until(lambda said=said: said.search(log.read_text()) is not None)  # type: ignore[misc]


def test_bronze_is_closed_to_dagster_s_own_role(stores: Settings) -> None:
    attempt(stores.dagster_storage, "CREATE TABLE mine (a int)")
    bronze = urlsplit(stores.dagster_storage)._replace(path=f"/{stores.postgres_database}")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(bronze.geturl())


def test_a_right_that_is_no_longer_written_down_is_taken_back(stores: Settings) -> None:
    with psycopg.connect(stores.dsn, autocommit=True) as owner:
        owner.execute("GRANT DELETE ON entity_features TO payments_worker")
    migrate(stores)
    with pytest.raises(errors.InsufficientPrivilege):
        attempt(stores.dsn_as("worker"), "DELETE FROM entity_features")


def test_a_role_that_does_not_own_bronze_can_not_migrate_it_and_is_told(stores: Settings) -> None:
    dsn = SecretStr(stores.dsn_as("worker"))
    with pytest.raises(UserError, match=r"permission denied.*user payments_worker owns"):
        migrate(stores.model_copy(update={"postgres_dsn": dsn}))


@pytest.fixture(scope="module")
def own() -> Iterator[Settings]:
    """A PostgreSQL whose passwords nobody else needs."""
    with own_stack("postgres") as settings:
        yield settings


def test_a_stack_from_before_the_roles_is_taken_over(own: Settings) -> None:
    with psycopg.connect(
        own.dsn.replace("//payments:", "//postgres:"),
        password=own.secret("postgres_admin_password"),
        autocommit=True,
    ) as admin:
        old = sql.Literal(own.secret("postgres_password"))
        admin.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(old))
        admin.execute("ALTER DATABASE dagster OWNER TO payments")
    before = own.model_copy(update={"postgres_database": "dagster"})
    with psycopg.connect(before.dsn, autocommit=True) as owner:
        owner.execute("CREATE TABLE runs (id serial)")

    up(own, only=("postgres",))

    attempt(own.dagster_storage, "ALTER TABLE runs ADD COLUMN more int")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(own.dsn.replace("//payments:", "//postgres:"))


async def test_a_password_is_changed_under_a_pool_that_goes_on(own: Settings) -> None:
    old = own.dsn_as("worker")
    pool = await postgres.pool(own, 1, 2, service="worker")
    try:
        async with pool.acquire() as held:
            await asyncio.to_thread(rotation.rotate_password, own, "postgres_worker_password")
            assert await held.fetchval("SELECT current_user") == "payments_worker"
            async with pool.acquire() as later:  # a connection that is made now
                assert await later.fetchval("SELECT current_user") == "payments_worker"
    finally:
        await pool.close()
    assert own.dsn_as("worker") != old
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(old)


def test_a_change_of_password_that_was_interrupted_is_made_good(own: Settings) -> None:
    files.write_private(own.secrets_dir / "postgres_reader_password", "written-and-then-killed\n")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(own.dsn_as("reader"))
    up(own, only=("postgres",))
    attempt(own.dsn_as("reader"), "SELECT 1")
