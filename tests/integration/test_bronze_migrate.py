"""The schema equals the contract after any number of migrations, also concurrent ones."""

from concurrent.futures import ThreadPoolExecutor

import asyncpg
import psycopg
import pytest

from payment_operations import provisioning
from payment_pipeline.bronze import contract, feature_states, writer
from payment_pipeline.bronze.contract import Column
from payment_pipeline.bronze.migrate import migrate
from payment_pipeline.settings import Settings
from support.bronze_events import events, folded, scored
from support.databases import empty_schema

pytestmark = pytest.mark.stack

TABLES = {
    contract.EVENTS_TABLE: contract.EVENTS,
    contract.HISTORY_TABLE: contract.HISTORY,
    contract.QUARANTINE_TABLE: contract.QUARANTINE,
    contract.FEATURES_TABLE: contract.FEATURES,
    contract.DECISIONS_TABLE: contract.DECISIONS,
    contract.AUDITS_TABLE: contract.AUDITS,
    contract.ERASURES_TABLE: contract.ERASURES,
    contract.ERASED_OBJECTS_TABLE: contract.ERASED_OBJECTS,
    contract.ACTIONS_TABLE: contract.ACTIONS,
    contract.INVENTORY_TABLE: contract.INVENTORY,
    contract.CURSORS_TABLE: contract.CURSORS,
    contract.BACKFILLS_TABLE: contract.BACKFILLS,
}
KEYS = {
    contract.EVENTS_TABLE: {"provider", "event_id"},
    contract.HISTORY_TABLE: {"provider", "event_id", "valid_from"},
    contract.QUARANTINE_TABLE: {"source_topic", "source_partition", "source_offset", "failure"},
    contract.FEATURES_TABLE: {"provider", "entity", "entity_id"},
    contract.DECISIONS_TABLE: {"workflow_id", "step", "decided_at"},
    contract.AUDITS_TABLE: {"audit_id"},
    contract.ERASURES_TABLE: {"id"},
    contract.ERASED_OBJECTS_TABLE: {"provider", "object_id"},
    contract.ACTIONS_TABLE: {"number"},
    contract.INVENTORY_TABLE: {"provider", "account", "event_id"},
    contract.CURSORS_TABLE: {"provider", "account", "livemode", "stream"},
    contract.BACKFILLS_TABLE: {"provider", "account", "event_id"},
}
WITHOUT_CONTRACT = {"entity_features_due", "bronze_restores"}
"""Only bronze itself reads them: what is to be folded anew, when a backup was brought back."""
YOYOS_OWN = {"_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock"}


@pytest.mark.parametrize("table", TABLES)
def test_ddl_is_the_contract(table: str, database_settings: Settings) -> None:
    with psycopg.connect(database_settings.dsn) as connection:
        rows = connection.execute(
            """
            SELECT
                attname,
                replace(format_type(atttypid, NULL), 'timestamp with time zone', 'timestamptz'),
                NOT attnotnull,
                col_description(attrelid, attnum)
            FROM pg_attribute
            WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
            ORDER BY attnum
            """,
            (table,),
        ).fetchall()
    assert tuple(Column(*row) for row in rows) == TABLES[table]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_its_key_and_says_what_it_is(
    table: str, database_settings: Settings
) -> None:
    with psycopg.connect(database_settings.dsn) as connection:
        key = connection.execute(
            """
            SELECT attname FROM pg_index
            JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
            WHERE indrelid = %s::regclass AND indisprimary
            """,
            (table,),
        ).fetchall()
        comment = connection.execute("SELECT obj_description(%s::regclass)", (table,)).fetchone()
    assert {name for (name,) in key} == KEYS[table]
    assert comment
    assert comment[0].endswith(".")


def test_no_table_is_without_a_contract_and_no_column_without_a_comment(
    database_settings: Settings,
) -> None:
    with psycopg.connect(database_settings.dsn) as connection:
        columns = connection.execute(
            """
            SELECT relname, attname, col_description(attrelid, attnum)
            FROM pg_attribute
            JOIN pg_class ON pg_class.oid = attrelid
            WHERE relkind IN ('r', 'p', 'v', 'm') AND relnamespace = current_schema()::regnamespace
                AND attnum > 0 AND NOT attisdropped
            """
        ).fetchall()
    assert {table for table, _, _ in columns} == TABLES.keys() | WITHOUT_CONTRACT | YOYOS_OWN
    assert [
        f"{table}.{column}"
        for table, column, comment in columns
        if table not in YOYOS_OWN and not comment
    ] == []


async def test_features_get_ids_with_the_account_and_the_mode(
    bronze: asyncpg.Pool, database_settings: Settings
) -> None:
    given = list(events(400))
    await writer.write(bronze, [scored(event) for event in given], "wf")
    await bronze.execute(
        "DELETE FROM entity_features WHERE entity <> 'card'; "
        "INSERT INTO entity_features (provider, entity, entity_id) "
        "SELECT DISTINCT provider, 'customer', customer_id FROM payment_events "
        "WHERE customer_id IS NOT NULL; "
        "INSERT INTO entity_features (provider, entity, entity_id) "
        "SELECT DISTINCT provider, 'merchant', coalesce(merchant_id, 'platform') "
        "FROM payment_events; "
        "DELETE FROM _yoyo_migration WHERE migration_id = '0013_scoped_features'"
    )
    computed = await provisioning.STEPS["postgres"](database_settings)
    found = feature_states.to_states(await bronze.fetch("SELECT * FROM entity_features"))
    assert found == folded(given)
    assert computed[0] == "0013_scoped_features"
    assert computed[1].startswith("features of ")
    assert await provisioning.STEPS["postgres"](database_settings) == ()


def test_second_time_changes_nothing(stores: Settings) -> None:
    with empty_schema(stores) as settings:
        first = migrate(settings)
        assert first[0] == "0001_payment_events"
        assert first == sorted(first)
        assert migrate(settings) == []


def test_process_that_died_before_the_mark_is_made_good(database_settings: Settings) -> None:
    with psycopg.connect(database_settings.dsn) as connection:
        connection.execute("DELETE FROM _yoyo_migration")
    assert migrate(database_settings)
    assert migrate(database_settings) == []


def test_lock_of_a_killed_process_holds_nobody_up(database_settings: Settings) -> None:
    with psycopg.connect(database_settings.dsn) as connection:
        connection.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
        connection.execute("DELETE FROM _yoyo_migration")
    assert migrate(database_settings)


def test_callers_at_once_apply_each_migration_once(stores: Settings) -> None:
    with empty_schema(stores) as settings, ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(migrate, [settings] * 6))
    assert sorted(map(bool, answers)) == [False] * 5 + [True]


def test_state_of_an_entity_never_seen_is_the_fold_s_start(database_settings: Settings) -> None:
    with psycopg.connect(database_settings.dsn) as connection:
        row = connection.execute(
            "INSERT INTO entity_features (provider, entity, entity_id) VALUES ('p', 'card', 'c') "
            "RETURNING events, recent_attempts_at, counterparties, amounts, first_seen_at"
        ).fetchone()
    assert row == (0, [], [], {}, None)
