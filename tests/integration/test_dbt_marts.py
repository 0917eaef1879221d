"""The marts' sums, their independence of the order of rows, and incremental runs against rebuilds.

One history is loaded twice. First in order, with one build. Then shuffled and with some events
twice, in two loads with a build after each.
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from orchestration_dagster.lake.catalog import open_catalog
from payment_pipeline.bronze.contract import (
    AUDITS_TABLE,
    DECISIONS_TABLE,
    EVENTS_TABLE,
    QUARANTINE_TABLE,
)
from payment_pipeline.settings import Settings
from support import lake_history, lake_rows
from support.currency_grain import mixed
from support.dbt_project import Dbt, described, project
from support.lake_rows import Row

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

FIRST_SHARE = 0.6
FIRST_RUN = ("resource_type:seed", "+config.materialized:incremental", "+fct_payments")
"""What dbt builds before the second load: the incremental models, and one mart, so that it has two
snapshots. Each run builds every other model again from the whole lake."""
REPEATED_SHARE = 0.1
OF_THE_LOAD = {"ingested_at", "ingest_xid", "modelled_at", "sent_at"}
"""Columns with the time of a row's load. They differ between two loads of the same events."""
OWN_WARNING = re.compile(
    "payments_have_one_currency|configured to warn if|Completed with 1 warning"
)
"""Lines about the data test that warns of a dispute in another currency, which the history has."""
AUDIT = "fct_audit"
"""Counts the lake's rows, and so what is there twice."""


@pytest.fixture(scope="module")
def rows() -> tuple[Row, ...]:
    return lake_history.events()


@pytest.fixture(scope="module")
def shuffled(
    lakehouse: Settings, rows: tuple[Row, ...], tmp_path_factory: pytest.TempPathFactory
) -> Dbt:
    """The same history in any order, some events twice, in two loads and two runs.

    Decisions and rejections come once: only of events do the models promise to bear repeats.
    """
    dice = random.Random(lake_history.SEED)
    history: Mapping[str, Sequence[Row]] = {
        EVENTS_TABLE: rows,
        DECISIONS_TABLE: lake_history.decisions(),
        QUARANTINE_TABLE: lake_history.rejections(),
        AUDITS_TABLE: lake_history.audits(),
    }
    first, second = {}, {}
    for table, whole in history.items():
        mixed_up = dice.sample(whole, len(whole))
        split = int(len(whole) * FIRST_SHARE)
        repeats = int(split * REPEATED_SHARE) if table == EVENTS_TABLE else 0
        again = dice.sample(mixed_up[:split], repeats)
        first[table] = lake_rows.loaded(mixed_up[:split])
        second[table] = lake_rows.loaded(mixed_up[split:] + again, after=split)
    dbt = project(lakehouse, tmp_path_factory)
    lake_rows.append(open_catalog(lakehouse), dbt.data_schema, first)
    dbt.run("build", "--resource-types", "seed", "model", "--select", *FIRST_RUN)
    lake_rows.append(open_catalog(lakehouse), dbt.data_schema, second)
    dbt.run("run")
    return dbt


def differing(dbt: Dbt, one: str, other: str, columns: Sequence[str]) -> list[object]:
    """Rows that one of two tables has and the other has not; how often counts too."""
    named = ", ".join(f'"{column}"' for column in columns)
    counted = f"select {named}, count(*) from {{}} group by {named}"
    one, other = counted.format(one), counted.format(other)
    return [
        *dbt.query(f"({one}) except ({other}) limit 3"),
        *dbt.query(f"({other}) except ({one}) limit 3"),
    ]


def test_every_event_is_a_fact_once(built: Dbt, rows: tuple[Row, ...]) -> None:
    facts = built.schema("marts") + ".fct_payment_events"
    found = built.query(f"select count(*), count(distinct event_id) from {facts}")
    assert found == [(len(rows), len(rows))]


def test_captured_amount_equals_the_amount_that_the_provider_received(
    built: Dbt, rows: tuple[Row, ...]
) -> None:
    """Counted here from the rows, in minor units, payment by payment.

    A payment that only its charges tell of has no such amount: see `test_true_money.py`.
    """
    received = {
        row["payment_id"]: json.loads(row["attributes"])["amount_received_minor"]
        for row in rows
        if is_success(row)
    }
    found = built.query(
        "select payment_id, captured_amount * cast(power(10, currency_exponent) as integer)"
        f" from {built.schema('marts')}.fct_payments"
    )
    assert {name: amount for name, amount in found if name in received} == received


def is_success(row: Row) -> bool:
    return bool(row["event_type"] == "payment.succeeded")


def test_order_and_duplicates_of_rows_change_nothing(built: Dbt, shuffled: Dbt) -> None:
    tables = built.columns("marts")
    del tables[AUDIT]
    for table, columns in tables.items():
        kept = [column for column in columns if column not in OF_THE_LOAD]
        ours, theirs = (f"{dbt.schema('marts')}.{table}" for dbt in (built, shuffled))
        assert not differing(built, ours, theirs, kept), table


def test_the_audit_counts_duplicates_in_the_lake(
    built: Dbt, shuffled: Dbt, rows: tuple[Row, ...]
) -> None:
    again = int(int(len(rows) * FIRST_SHARE) * REPEATED_SHARE)
    counts = f"select sum(lake_repeated_events), sum(repeated_events) from {{}}.{AUDIT}"
    assert built.query(counts.format(built.schema("marts"))) == [(0, 0)]
    assert shuffled.query(counts.format(shuffled.schema("marts"))) == [(again, 0)]


def test_an_incremental_run_equals_a_full_refresh(shuffled: Dbt) -> None:
    incremental = [
        name
        for name, entry in described().items()
        if "materialized='incremental'" in entry["path"].with_suffix(".sql").read_text()
    ]
    assert incremental
    columns = shuffled.columns("intermediate")
    schema = shuffled.schema("intermediate")
    for name in incremental:
        shuffled.query(f"create table {schema}.{name}_before as select * from {schema}.{name}")
    shuffled.run("run", "--full-refresh", "--select", *incremental)
    for name in incremental:
        kept = [column for column in columns[name] if column != "modelled_at"]
        before, after = f"{schema}.{name}_before", f"{schema}.{name}"
        assert not differing(shuffled, before, after, kept), name
        shuffled.query(f"drop table {before}")


def test_an_older_snapshot_of_a_table_can_be_read(shuffled: Dbt) -> None:
    facts = shuffled.schema("marts") + ".fct_payments"
    snapshots = shuffled.query(
        f"""select snapshot_id from {facts.replace(".", '."')}$snapshots" order by committed_at"""
    )
    first = snapshots[0][0]
    was = shuffled.query(f"select count(*) from {facts} for version as of {first}")[0][0]
    now = shuffled.query(f"select count(*) from {facts}")[0][0]
    assert 0 < was < now


def test_dbt_warns_of_nothing(built: Dbt) -> None:
    """A warning in each run, such as that of an unchecked certificate, would hide a real one."""
    lines = (built.target / built.prefix / "dbt.log").read_text().splitlines()
    assert any("[info " in line for line in lines)
    warned = [line for line in lines if "[warn " in line and not OWN_WARNING.search(line)]
    assert warned == []


def test_no_aggregate_mixes_currencies(built: Dbt) -> None:
    compiled = sorted((built.target / built.prefix / "compiled").glob("*/models/**/*.sql"))
    found = {path.stem: mixed(path.read_text()) for path in compiled if path.is_file()}
    assert len(found) >= len(described())
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_every_column_is_described(built: Dbt) -> None:
    models = described()
    for schema in ("staging", "intermediate", "marts"):
        for table, columns in built.columns(schema).items():
            if table in models:
                said = [column["name"] for column in models[table]["columns"]]
                assert said == columns, table


def test_the_freshness_check_reports_old_data(shuffled: Dbt) -> None:
    assert "ERROR STALE" in shuffled.run("source", "freshness", ok=False)
    said = json.loads((shuffled.target / shuffled.prefix / "sources.json").read_text())
    (answer,) = said["results"]
    assert answer["status"] == "error"
    assert answer["max_loaded_at_time_ago_in_s"] > 0
    assert answer["max_loaded_at"]


def test_each_payment_matches_one_version_of_customer_and_merchant(built: Dbt) -> None:
    """The query of `docs/guides/history.md`."""
    guide = (Path(__file__).parents[2] / "docs/guides/history.md").read_text()
    query = guide.split("```sql")[1].split("```")[0].strip().rstrip(";")
    found = built.query(query.replace("lakehouse.marts", built.schema("marts")))
    payments = built.query(f"select count(*) from {built.schema('marts')}.fct_payments")
    assert len(found) == payments[0][0]
