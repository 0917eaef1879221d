"""Tests of reloads, rebuilds, new columns and restores on the real lake."""

from collections.abc import Callable
from datetime import date

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from orchestration_dagster.lake import lake_tables
from orchestration_dagster.lake.bronze_arrow import open_bronze
from orchestration_dagster.lake.catalog import open_catalog
from orchestration_dagster.lake.compare import Total, counted, differences, schema_refusal, waiting
from orchestration_dagster.lake.lake_tables import LakeTable
from orchestration_dagster.lake.loader import load, load_table
from orchestration_dagster.lake.rewrite import Rewritten, reanchor, rebuild, reload_day
from payment_pipeline.bronze.contract import Column
from payment_pipeline.bronze.migrate import migrate
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from support.lake_loads import (
    EVENTS,
    INSERT,
    assert_exact,
    bronze,
    in_lake,
    insert,
    rescore,
    rows,
    table,
)

pytestmark = pytest.mark.stack

FIRST = date(2026, 11, 1)
NOON = "2026-11-01 12:00+00"
NEXT_NOON = "2026-11-02 12:00+00"


@pytest.fixture
def two_days(lake: Settings) -> Settings:
    """Loaded events: five of one day and four of the next."""
    insert(lake, "a", 5, at=NOON)
    insert(lake, "b", 4, at=NEXT_NOON)
    load(lake, EVENTS.name)
    return lake


def test_a_reloaded_day_is_the_same_day(two_days: Settings) -> None:
    before = rows(two_days)
    assert reload_day(two_days, EVENTS.name, FIRST) == Rewritten(deleted=5, appended=5)
    assert rows(two_days) == before
    assert load(two_days, EVENTS.name).rows == 0


def test_a_day_that_was_never_loaded_can_be_reloaded_first(lake: Settings) -> None:
    insert(lake, "a", 5, at=NOON)
    assert reload_day(lake, EVENTS.name, FIRST) == Rewritten(deleted=5, appended=5)
    assert load(lake, EVENTS.name).rows == 0
    assert_exact(lake)


def test_a_reload_also_loads_new_rows(two_days: Settings) -> None:
    insert(two_days, "late", 2, at=NOON)
    rescore(two_days, "a1")
    assert reload_day(two_days, EVENTS.name, FIRST).appended == 7
    assert_exact(two_days)
    load(two_days, EVENTS.name)
    assert_exact(two_days)


def test_a_reload_is_refused_when_bronze_has_lost_rows(two_days: Settings) -> None:
    with bronze(two_days) as connection:
        connection.execute("DELETE FROM payment_events WHERE event_id = 'a1'")
    with pytest.raises(UserError, match="1 rows of payment_events are in the lake and no longer"):
        reload_day(two_days, EVENTS.name, FIRST)
    with pytest.raises(UserError, match="--shrink"):
        rebuild(two_days, EVENTS.name)
    assert len(in_lake(two_days)) == 9
    assert rebuild(two_days, EVENTS.name, shrink=True) == Rewritten(deleted=9, appended=8)
    assert_exact(two_days)


REWRITES: list[Callable[[Settings], Rewritten]] = [
    lambda lake: reload_day(lake, EVENTS.name, FIRST),
    lambda lake: rebuild(lake, EVENTS.name),
    lambda lake: reanchor(lake, EVENTS.name),
]


@pytest.mark.parametrize("rewrite", REWRITES, ids=["reload_day", "rebuild", "reanchor"])
def test_no_rewrite_reads_past_a_running_transaction(
    two_days: Settings, rewrite: Callable[[Settings], Rewritten]
) -> None:
    """The marts continue at the highest `ingest_xid` of the lake, so no later row may be below."""
    with psycopg.connect(two_days.dsn) as slow:
        slow.execute(INSERT, {"prefix": "slow", "rows": 1, "at": NOON})
        insert(two_days, "quick", 1, at=NOON)
        rescore(two_days, "a1", "a2")
        rewrite(two_days)
        held = in_lake(two_days)
        seen = max(rows(two_days)["ingest_xid"].to_pylist())
    assert set(held.values()) == {1}
    assert "quick1" not in held
    load(two_days, EVENTS.name)
    assert_exact(two_days)
    later = [row["ingest_xid"] for row in rows(two_days).to_pylist() if row["event_id"] not in held]
    assert len(later) >= 2
    assert min(later) > seen


def test_a_row_that_is_scored_during_a_rewrite_stays_as_it_was(two_days: Settings) -> None:
    with psycopg.connect(two_days.dsn) as slow:
        slow.execute("SELECT pg_current_xact_id()")
        rescore(two_days, "a1")
        before = rows(two_days)
        assert reload_day(two_days, EVENTS.name, FIRST) == Rewritten(deleted=4, appended=4)
        assert rebuild(two_days, EVENTS.name) == Rewritten(deleted=8, appended=8)
        assert rows(two_days) == before
    assert load(two_days, EVENTS.name).replaced == 1
    assert_exact(two_days)


def test_a_rebuild_ends_in_the_same_table(two_days: Settings) -> None:
    rescore(two_days, "a1", "b2")
    load(two_days, EVENTS.name)
    before = rows(two_days)
    assert rebuild(two_days, EVENTS.name) == Rewritten(deleted=9, appended=9)
    assert rows(two_days) == before
    assert load(two_days, EVENTS.name).rows == 0
    insert(two_days, "c", 1)
    assert load(two_days, EVENTS.name).rows == 1
    assert_exact(two_days)


def test_a_new_nullable_column_appears_without_a_rewrite(
    two_days: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = set(table(two_days).inspect.files()["file_path"].to_pylist())
    with bronze(two_days) as connection:
        connection.execute("ALTER TABLE payment_events ADD COLUMN channel text")
        connection.execute("UPDATE payment_events SET channel = 'web' WHERE event_id = 'a1'")
    channel = Column("channel", "text", nullable=True, comment="Where the payer was.")
    wider = EVENTS._replace(columns=(*EVENTS.columns, channel))
    monkeypatch.setitem(lake_tables.TABLES, EVENTS.name, wider)
    insert(two_days, "c", 1)
    load(two_days, EVENTS.name)

    after = table(two_days)
    assert after.schema().find_field("channel").doc == "Where the payer was."
    assert files < set(after.inspect.files()["file_path"].to_pylist())
    assert rows(two_days)["channel"].null_count == 10
    reload_day(two_days, EVENTS.name, FIRST)
    assert [row["channel"] for row in rows(two_days).to_pylist()] == ["web"] + [None] * 9


def test_an_incompatible_contract_changes_nothing(two_days: Settings) -> None:
    before = table(two_days).metadata_location
    strict = Column("channel", "text", nullable=False, comment="Where the payer was.")
    wider = EVENTS._replace(columns=(*EVENTS.columns, strict))
    with (
        open_bronze(two_days) as source,
        pytest.raises(UserError, match="new column channel must be nullable"),
    ):
        load_table(open_catalog(two_days), source, wider)
    assert table(two_days).metadata_location == before


CATCH_UP = """
DO $$ BEGIN
    WHILE pg_current_xact_id()::text::bigint <= {upto} LOOP COMMIT; END LOOP;
END $$
"""


@pytest.fixture
def restored(two_days: Settings, fresh_stack: Callable[..., Settings]) -> Settings:
    """The same lake with another PostgreSQL that has a copy of bronze and higher transactions."""
    other = fresh_stack("postgres")
    migrate(other)
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in EVENTS.columns)
    read = sql.SQL("COPY (SELECT {} FROM payment_events) TO STDOUT").format(names)
    write = sql.SQL("COPY payment_events ({}) FROM STDIN").format(names)
    with (
        psycopg.connect(two_days.dsn) as source,
        psycopg.connect(other.dsn) as target,
        source.cursor().copy(read) as reading,
        target.cursor().copy(write) as writing,
    ):
        for block in reading:
            writing.write(block)
    with psycopg.connect(other.dsn) as target:
        target.execute("SELECT setval('payment_events_id_seq', max(id)) FROM payment_events")
    with bronze(two_days) as source, bronze(other) as target:
        [upto] = source.execute("SELECT pg_current_xact_id()::text::bigint").fetchone() or ()
        target.execute("SET synchronous_commit = off")
        target.execute(CATCH_UP.format(upto=upto))
    return two_days.model_copy(update={"postgres_dsn": SecretStr(other.dsn)})


def test_a_restored_database_is_refused_until_a_reanchor(
    restored: Settings,
) -> None:
    insert(restored, "new", 3)
    with pytest.raises(UserError, match="payments lake reanchor payment_events"):
        load(restored, EVENTS.name)
    with pytest.raises(UserError, match="payments lake reanchor payment_events"):
        reload_day(restored, EVENTS.name, FIRST)
    assert reanchor(restored, EVENTS.name) == Rewritten(deleted=0, appended=3)
    assert_exact(restored)
    insert(restored, "newer", 2)
    rescore(restored, "a1", "new1")
    load(restored, EVENTS.name)
    assert_exact(restored)


@pytest.mark.parametrize("rewrite", [reanchor, rebuild])
def test_rows_of_a_dump_lose_the_transactions_of_their_database(
    restored: Settings, rewrite: Callable[[Settings, str], Rewritten]
) -> None:
    """Otherwise the marts would ignore new rows until this database reaches those transactions."""
    with bronze(restored) as connection:
        connection.execute("UPDATE payment_events SET ingest_xid = '99999999999'")
    insert(restored, "new", 3)
    assert rewrite(restored, EVENTS.name) == Rewritten(deleted=9, appended=12)
    seen = max(rows(restored)["ingest_xid"].to_pylist())
    assert differences(restored, EVENTS.name) == []
    assert waiting(restored, EVENTS.name).rows == 0
    insert(restored, "newer", 1)
    load(restored, EVENTS.name)
    assert_exact(restored)
    (newer,) = [row for row in rows(restored).to_pylist() if row["event_id"] == "newer1"]
    assert newer["ingest_xid"] > seen


def test_rows_that_the_restore_lost_are_kept_by_default(
    two_days: Settings, restored: Settings
) -> None:
    insert(two_days, "after_the_dump", 2)
    load(two_days, EVENTS.name)
    with pytest.raises(UserError, match="2 rows of payment_events are in the lake and no longer"):
        reanchor(restored, EVENTS.name)
    # Sent again, they come with other ids: the lake's rows give way to them.
    insert(restored, "other", 1)
    insert(restored, "after_the_dump", 2)
    assert reanchor(restored, EVENTS.name) == Rewritten(deleted=2, appended=3)
    load(restored, EVENTS.name)
    assert_exact(restored)


def test_a_rebuild_accepts_any_database(restored: Settings) -> None:
    insert(restored, "new", 3)
    assert rebuild(restored, EVENTS.name) == Rewritten(deleted=9, appended=12)
    rescore(restored, "new1")
    load(restored, EVENTS.name)
    assert_exact(restored)


def test_differences_are_listed_by_day_and_currency(two_days: Settings) -> None:
    assert differences(two_days, EVENTS.name) == []
    with bronze(two_days) as connection:
        connection.execute("UPDATE payment_events SET amount_minor = 0 WHERE event_id = 'a2'")
        connection.execute("DELETE FROM payment_events WHERE event_id = 'b1'")
    changed, dropped = sorted(differences(two_days, EVENTS.name))
    assert changed == (FIRST, "EUR", Total(2, 104), Total(2, 206))
    assert dropped == (date(2026, 11, 2), "JPY", Total(1, 103), Total(2, 204))
    assert differences(two_days, EVENTS.name, since=date(2026, 11, 2)) == [dropped]


def test_rows_that_wait_are_no_difference(two_days: Settings) -> None:
    rescore(two_days, "a1")
    insert(two_days, "c", 3)
    assert differences(two_days, EVENTS.name) == []
    assert waiting(two_days, EVENTS.name).rows == 4
    load(two_days, EVENTS.name)
    assert differences(two_days, EVENTS.name) == []
    assert waiting(two_days, EVENTS.name).rows == 0


def test_tables_without_money_are_compared_too(lake: Settings) -> None:
    for name in lake_tables.TABLES:
        load(lake, name)
        assert differences(lake, name) == []
        assert schema_refusal(lake, name) is None


def test_a_duplicate_row_is_counted(two_days: Settings) -> None:
    assert counted(two_days, EVENTS.name) == (9, 9)
    lake = table(two_days)
    lake.append(lake.scan(row_filter="event_id == 'a1'").to_arrow().cast(lake.schema().as_arrow()))
    assert counted(two_days, EVENTS.name) == (10, 9)
    assert differences(two_days, EVENTS.name)[0].lake.rows == 4


def test_a_table_is_found_by_its_name() -> None:
    with pytest.raises(UserError, match="No table payments in the lake: there are payment_events"):
        load(Settings(), "payments")
    assert isinstance(EVENTS, LakeTable)
