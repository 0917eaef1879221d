"""A real Polaris: `payments catalog`, and each principal's rights in PyIceberg and Trino."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pytest
from pydantic import SecretStr
from pyiceberg.exceptions import ForbiddenError, OAuthError
from trino.exceptions import TrinoQueryError

from conftest import free_ports, own_stack
from orchestration_dagster.lake import compare, table_maintenance
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.loader import load
from payment_operations import catalog_changes
from payment_operations.catalog_access import Fact, Kind
from payment_operations.polaris import connect as connect_to_polaris
from payment_pipeline.adapters.trino import connect
from payment_pipeline.catalog_settings import CATALOG_ROLES, CatalogRole, secret_of
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, TrinoUser
from support import real_polaris
from support.databases import migrated_schema
from support.dbt_project import Dbt
from support.lake_loads import EVENTS, insert

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
REFUSED = "Access Denied|Forbidden|not authorized"


class Platform(NamedTuple):
    """A stack whose catalog is Polaris, and its marts."""

    settings: Settings
    """With bronze, Trino, and five events in the lake."""
    dbt: Dbt


@pytest.fixture(scope="module")
def polaris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A new Polaris on PostgreSQL and SeaweedFS, and the settings for it."""
    if reason := real_polaris.lacking():
        pytest.skip(f"NOT TESTED: Polaris. {reason}")
    with own_stack("postgres", "seaweedfs") as stores:
        folder = tmp_path_factory.mktemp("polaris")
        api, management = free_ports(2)
        with real_polaris.running(stores, (api, management), folder) as url:
            yield stores.model_copy(
                update={
                    "catalog_uri": url,
                    "catalog_warehouse": "lakehouse",
                    "catalog_location": f"s3://{real_polaris.BUCKET}",
                    "catalog_oauth_scope": "PRINCIPAL_ROLE:ALL",
                    "catalog_principals": True,
                    "catalog_admin_secret": SecretStr(real_polaris.ROOT_SECRET),
                    **{secret_of(role): SecretStr(f"of-the-{role}") for role in CATALOG_ROLES},
                }
            )


def apply(settings: Settings, *, revoke: bool = False) -> tuple[list[str], tuple[Fact, ...]]:
    """What `payments catalog apply` says, and what is left undescribed."""
    told: list[str] = []
    left = asyncio.run(catalog_changes.apply(settings, revoke=revoke, told=told.append))
    return told, left


@pytest.fixture(scope="module")
def applied(polaris: Settings) -> Settings:
    told, left = apply(polaris)
    assert "made: catalog lakehouse" in told
    assert left == ()
    assert not [line for line in told if "of-the-" in line], "no secret is shown"
    return polaris


def test_a_second_call_changes_nothing(applied: Settings) -> None:
    assert apply(applied) == ([], ())
    assert not any(asyncio.run(catalog_changes.drift(applied)))


def test_an_undescribed_grant_and_member_are_shown_and_revoked(applied: Settings) -> None:
    async def widen() -> None:
        async with connect_to_polaris(applied) as client:
            where = {"type": "namespace", "namespace": ["data"]}
            grant = {"grant": {**where, "privilege": "TABLE_READ_DATA"}}
            roles = "management/v1/catalogs/lakehouse/catalog-roles"
            await client.send("PUT", f"{roles}/payments_reader/grants", grant)
            await client.send("POST", "management/v1/principals", {"principal": {"name": "eve"}})
            member = {"principalRole": {"name": "payments_maintenance"}}
            await client.send("PUT", "management/v1/principals/eve/principal-roles", member)

    asyncio.run(widen())
    found = asyncio.run(catalog_changes.drift(applied))
    assert found.missing == ()
    assert [str(fact) for fact in found.undescribed] == [
        "catalog role payments_reader has TABLE_READ_DATA on data",
        "principal eve has principal role payments_maintenance",
    ]
    assert apply(applied)[1] == found.undescribed, "nothing is revoked unasked"
    told, left = apply(applied, revoke=True)
    assert (len(told), left) == (2, ())
    assert not any(asyncio.run(catalog_changes.drift(applied)))


def test_a_changed_secret_is_exchanged(applied: Settings) -> None:
    changed = applied.model_copy(update={"catalog_reader_secret": SecretStr("another-secret")})
    found = asyncio.run(catalog_changes.drift(changed))
    assert found.missing == (Fact(Kind.CREDENTIAL, ("payments_reader",)),)
    apply(changed)
    assert open_catalog(changed, "reader").list_namespaces()
    with pytest.raises((OAuthError, UserError)):
        open_catalog(applied, "reader").list_namespaces()
    apply(applied)


def test_a_changed_endpoint_is_set(applied: Settings) -> None:
    moved = applied.model_copy(update={"s3_endpoint": "http://127.0.0.1:9"})
    told, _ = apply(moved)
    assert told == ["made: catalog setting endpoint = http://127.0.0.1:9"]
    apply(applied)


def test_a_wrong_administrator_is_refused_without_its_secret(applied: Settings) -> None:
    wrong = applied.model_copy(update={"catalog_admin_secret": SecretStr("not-the-roots")})
    with pytest.raises(UserError, match="refuses the principal root") as refused:
        asyncio.run(catalog_changes.drift(wrong))
    assert refused.value.exit_code == 2
    assert "not-the-roots" not in str(refused.value)


@pytest.fixture(scope="module")
def platform(applied: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Bronze loaded into `data` by the loader, and marts built by dbt as the transformer."""
    names = ("s3_access_key", "s3_secret_key")
    keys = {name: SecretStr(applied.secret(name)) for name in names}
    same = (
        *("catalog_uri", "catalog_warehouse", "catalog_location", "catalog_oauth_scope"),
        *("catalog_principals", *map(secret_of, CATALOG_ROLES)),
    )
    given = {name: getattr(applied, name) for name in same}
    with (
        own_stack("postgres", "trino", s3_endpoint=applied.s3, **given, **keys) as stack,
        migrated_schema(stack) as settings,
    ):
        insert(settings, "a", 5)
        for table in (
            "payment_events",
            "payment_decisions",
            "payment_events_quarantine",
            "ledger_audits",
        ):
            load(settings, table)
        dbt = Dbt(settings, tmp_path_factory.mktemp("dbt"), "data", "")
        dbt.run("build", "--select", "+fct_payment_events", "--exclude-resource-type", "test")
        yield Platform(settings, dbt)


def ask(settings: Settings, query: str, user: TrinoUser = "owner") -> list[list[object]]:
    with connect(settings, user=user) as opened:
        found: list[list[object]] = opened.cursor().execute(query).fetchall()
        return found


def test_what_the_loader_loads_is_in_the_marts(platform: Platform) -> None:
    assert compare.differences(platform.settings, EVENTS.name) == []
    assert ask(platform.settings, "SELECT count(*) FROM marts.fct_payment_events") == [[5]]


def test_the_reader_of_trino_reads_the_marts_alone(platform: Platform) -> None:
    settings = platform.settings
    assert ask(settings, "SELECT count(*) FROM marts.fct_payment_events", "reader") == [[5]]
    for query in (
        "SELECT * FROM data.payment_events",
        "SELECT * FROM staging.stg_payment_events",
        "SELECT * FROM maintenance.marts.fct_payment_events",
    ):
        with pytest.raises(TrinoQueryError, match="Access Denied"):
            ask(settings, query, "reader")


def test_trino_can_not_write_the_data_that_the_loader_loads(platform: Platform) -> None:
    with pytest.raises(TrinoQueryError, match=REFUSED):
        ask(platform.settings, "DELETE FROM data.payment_events WHERE event_id = 'a1'")
    assert ask(platform.settings, "SELECT count(*) FROM data.payment_events") == [[5]]


@pytest.mark.parametrize("operation", table_maintenance.OPERATIONS)
def test_maintenance_rewrites_the_tables_as_its_own_principal(
    platform: Platform, operation: str
) -> None:
    for schema, table in (("data", "payment_events"), ("marts", "fct_payment_events")):
        table_maintenance.maintain(platform.settings, operation, schema, table)
    table_maintenance.forget_old_metadata(platform.settings, ["marts"])
    assert compare.differences(platform.settings, EVENTS.name) == []


@pytest.mark.parametrize(
    ("role", "namespace", "table"),
    [
        ("loader", "marts", "fct_payment_events"),
        ("reader", "data", "payment_events"),
        ("reader", "staging", "stg_payment_events"),
    ],
)
def test_a_principal_can_not_read_what_is_not_its_own(
    platform: Platform, role: CatalogRole, namespace: str, table: str
) -> None:
    with pytest.raises(ForbiddenError):
        open_catalog(platform.settings, role).load_table((namespace, table))


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("transformer", ("data", "payment_events")),
        ("reader", ("marts", "fct_payment_events")),
    ],
)
def test_a_principal_reads_and_can_not_write(
    platform: Platform, role: CatalogRole, name: tuple[str, str]
) -> None:
    table = open_catalog(platform.settings, role).load_table(name)
    rows = table.scan().to_arrow()
    assert rows.num_rows == 5
    with pytest.raises(ForbiddenError):
        table.append(rows)
    with pytest.raises(ForbiddenError):
        open_catalog(platform.settings, role).drop_table(name)


def test_nobody_but_the_administrator_makes_a_namespace(platform: Platform) -> None:
    for role in CATALOG_ROLES:
        with pytest.raises(ForbiddenError):
            open_catalog(platform.settings, role).create_namespace("mine")


def test_the_loader_drops_no_table_and_makes_no_mart(platform: Platform) -> None:
    catalog = open_catalog(platform.settings, "loader")
    with pytest.raises(ForbiddenError):
        catalog.drop_table(EVENTS.identifier)
    with pytest.raises(ForbiddenError):
        catalog.create_table(("marts", "mine"), pa.schema([("a", pa.int64())]))
