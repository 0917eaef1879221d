"""Backup and restore of bronze, and the lake after a restore."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from orchestration_dagster.lake import compare, lake_tables
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.loader import load
from orchestration_dagster.lake.rewrite import Rewritten, reanchor
from payment_operations import sealed_file
from payment_operations.backup import backup, restore
from payment_pipeline.adapters import postgres
from payment_pipeline.bronze import corrections, writer
from payment_pipeline.bronze.contract import (
    AUDITS_TABLE,
    DECISIONS_TABLE,
    EVENTS_TABLE,
    FEATURES_TABLE,
    HISTORY_TABLE,
    QUARANTINE_TABLE,
)
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from support import commands
from support.bronze_events import events, scored
from support.lake_loads import EVENTS, assert_exact, bronze, in_lake, insert, rescore

pytestmark = pytest.mark.stack

TABLES = (
    EVENTS_TABLE,
    HISTORY_TABLE,
    QUARANTINE_TABLE,
    DECISIONS_TABLE,
    AUDITS_TABLE,
    FEATURES_TABLE,
)
EMPTY = f"TRUNCATE {', '.join(TABLES)}"


@pytest.fixture
def filled(fresh_stack: Callable[..., Settings]) -> Settings:
    """A PostgreSQL with events, features and a correction."""
    settings = fresh_stack("postgres")

    async def fill() -> None:
        pool = await postgres.pool(settings)
        given = events(200)
        await writer.write(pool, [scored(event) for event in given], "test")
        corrected = given[0].model_copy(update={"status": "corrected"})
        await corrections.correct(pool, [corrected], "replay/test")
        await pool.close()

    asyncio.run(fill())
    return settings


def contents(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, without its transaction id."""
    with bronze(settings) as connection:
        return {
            table: connection.execute(
                f"SELECT (to_jsonb(each) - 'ingest_xid')::text FROM {table} AS each ORDER BY 1"
            ).fetchall()
            for table in TABLES
        }


def with_key_of(source: Settings, other: Settings) -> Settings:
    """The settings of another stack, with the key of the source's backups."""
    return other.model_copy(update={"backup_key": SecretStr(source.secret("backup_key"))})


def one(settings: Settings, query: str) -> object:
    with bronze(settings) as connection:
        return (connection.execute(query).fetchone() or (None,))[0]


def test_a_restore_into_a_new_cluster_has_every_row(
    filled: Settings, fresh_stack: Callable[..., Settings], tmp_path: Path
) -> None:
    file = tmp_path / "bronze.dump"
    backed_up = backup(filled, file)
    assert backed_up.events == 200
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UserError, match="Give the backup another name"):
        backup(filled, file)

    other = with_key_of(filled, fresh_stack("postgres"))
    restored = restore(other, file)
    assert restored.events == 200
    assert contents(other) == contents(filled)
    with pytest.raises(UserError, match="The database has 200 events"):
        restore(other, file)

    # Ids go on, and every row lies below what commits from now on.
    insert(other, "new", 1)
    assert one(other, "SELECT count(*) FROM payment_events WHERE event_id = 'new1' AND id > 200")
    newest = "SELECT event_id FROM payment_events ORDER BY ingest_xid DESC LIMIT 1"
    assert one(other, newest) == "new1"
    assert one(other, "SELECT count(*) FROM bronze_restores WHERE finished_at IS NOT NULL") == 1


def cut_off(settings: Settings, file: Path, at: str) -> None:
    """Empty the database, and kill a restore when it calls the named function."""
    with bronze(settings) as connection:
        connection.execute(EMPTY)

    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("payment_operations.backup.migrate", lambda _: [])  # the schema is there
        patch.setattr("payment_operations.backup._taken_at", lambda *_: None)
        patch.setattr(at, cut)
        with pytest.raises(KeyboardInterrupt):
            restore(settings, file)


BEFORE_THE_ROWS = "payment_operations.backup._run"
AFTER_THE_ROWS = "psycopg.Connection.transaction"


def test_an_interrupted_restore_starts_again(filled: Settings, tmp_path: Path) -> None:
    file = tmp_path / "bronze.dump"
    backup(filled, file)
    before = contents(filled)
    cut_off(filled, file, AFTER_THE_ROWS)
    assert one(filled, "SELECT count(*) FROM payment_events") == 200
    cut_off(filled, file, BEFORE_THE_ROWS)
    assert restore(filled, file).events == 200
    assert contents(filled) == before


@pytest.mark.parametrize(
    ("at", "used"),
    [
        (BEFORE_THE_ROWS, lambda settings: insert(settings, "new", 3)),
        (AFTER_THE_ROWS, lambda settings: insert(settings, "new", 3)),
        (AFTER_THE_ROWS, lambda settings: rescore(settings, events(1)[0].event_id)),
    ],
    ids=["before the rows", "after the rows", "a score alone"],
)
def test_rows_after_an_interrupted_restore_are_not_deleted(
    filled: Settings, tmp_path: Path, at: str, used: Callable[[Settings], None]
) -> None:
    file = tmp_path / "bronze.dump"
    backup(filled, file)
    cut_off(filled, file, at)
    used(filled)
    before = contents(filled)
    with pytest.raises(UserError, match="A restore into this database was interrupted"):
        restore(filled, file)
    assert contents(filled) == before
    with bronze(filled) as connection:
        connection.execute(EMPTY)
    assert restore(filled, file).events == 200


def test_a_file_that_is_no_backup_changes_nothing(
    fresh_stack: Callable[..., Settings], tmp_path: Path
) -> None:
    empty = fresh_stack("postgres")
    with pytest.raises(UserError, match="There is no backup file"):
        restore(empty, tmp_path / "nothing")
    (tmp_path / "text").write_text("select 1;")
    with pytest.raises(UserError, match="pg_restore failed"):
        restore(empty, tmp_path / "text", unsigned=True)
    assert one(empty, "SELECT count(*) FROM bronze_restores") == 0


def test_a_backup_that_was_changed_or_has_another_key_changes_nothing(
    filled: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "bronze.dump"
    backup(filled, file)
    assert b"payment_events" not in file.read_bytes()
    with bronze(filled) as connection:
        connection.execute(EMPTY)
    other = filled.model_copy(update={"backup_key": SecretStr("k" * 32)})
    with pytest.raises(UserError, match="encrypted with another key"):
        restore(other, file)
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    file.write_bytes(changed)
    with pytest.raises(UserError, match="changed or cut"):
        restore(filled, file)
    assert one(filled, "SELECT count(*) FROM bronze_restores") == 0
    said = commands.call(filled, "restore", str(file))
    assert (said.returncode, len(said.stderr.splitlines())) == (2, 1)


def test_a_backup_of_an_older_version_is_restored_only_on_demand(
    filled: Settings, tmp_path: Path
) -> None:
    sealed, plain = tmp_path / "bronze.dump", tmp_path / "older.dump"
    backup(filled, sealed)
    plain.write_bytes(b"".join(sealed_file.contents(sealed, filled.secret("backup_key"))))
    before = contents(filled)
    with bronze(filled) as connection:
        connection.execute(EMPTY)
    with pytest.raises(UserError, match=r"neither encrypted nor signed.*--unsigned"):
        restore(filled, plain)
    assert restore(filled, plain, unsigned=True).events == 200
    assert contents(filled) == before


@pytest.fixture
def house(
    lakehouse: Settings,
    fresh_stack: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], Settings]]:
    """Return a function that makes an empty PostgreSQL with the lake of this test."""
    monkeypatch.setattr(lake_tables, "NAMESPACE", f"test_{uuid4().hex}")

    def make() -> Settings:
        dsn = SecretStr(fresh_stack("postgres").dsn)
        key = SecretStr(lakehouse.secret("backup_key"))
        return lakehouse.model_copy(update={"postgres_dsn": dsn, "backup_key": key})

    yield make
    catalog = open_catalog(lakehouse)
    for identifier in catalog.list_tables(lake_tables.NAMESPACE):
        catalog.drop_table(identifier)
    catalog.drop_namespace(lake_tables.NAMESPACE)


def test_the_lake_continues_from_a_new_cluster(
    house: Callable[[], Settings], tmp_path: Path
) -> None:
    old = house()
    insert(old, "a", 6)
    rescore(old, "a1")
    load(old, EVENTS.name)
    backup(old, tmp_path / "bronze.dump")
    insert(old, "late", 2)
    rescore(old, "a2")
    load(old, EVENTS.name)

    new = house()
    restore(new, tmp_path / "bronze.dump")
    with pytest.raises(UserError, match="payments lake reanchor payment_events"):
        load(new, EVENTS.name)
    with pytest.raises(UserError, match="2 rows of payment_events are in the lake and no longer"):
        reanchor(new, EVENTS.name)
    insert(new, "other", 3)  # comes first now, and takes the ids that the late ones had
    insert(new, "late", 2)  # what a replay brings back
    assert reanchor(new, EVENTS.name).deleted == 8
    load(new, EVENTS.name)
    _assert_same(new)
    insert(new, "newer", 2)
    rescore(new, "a2", "late1")
    assert load(new, EVENTS.name).rows == 4
    _assert_same(new)


def test_the_lake_notices_a_restore_into_the_same_database(
    house: Callable[[], Settings], tmp_path: Path
) -> None:
    settings = house()
    insert(settings, "a", 5)
    backup(settings, tmp_path / "bronze.dump")
    insert(settings, "late", 2)
    load(settings, EVENTS.name)
    with bronze(settings) as connection:
        connection.execute(EMPTY)
    restore(settings, tmp_path / "bronze.dump")
    insert(settings, "other", 2)
    with pytest.raises(UserError, match="payments lake reanchor payment_events"):
        load(settings, EVENTS.name)
    insert(settings, "late", 2)
    assert isinstance(reanchor(settings, EVENTS.name), Rewritten)
    load(settings, EVENTS.name)
    _assert_same(settings)


def _assert_same(settings: Settings) -> None:
    assert_exact(settings)
    assert compare.differences(settings, EVENTS.name) == []
    assert compare.waiting(settings, EVENTS.name).rows == 0
    assert set(in_lake(settings).values()) == {1}
