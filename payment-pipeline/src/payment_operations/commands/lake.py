"""Commands that load, compare and rewrite the lake's tables."""

from datetime import datetime
from typing import Annotated, Final

import typer

from payment_operations.commands import Panel
from payment_operations.terminal import Screen
from payment_pipeline import settings

PANEL: Final = Panel.LAKEHOUSE
app = typer.Typer(
    name="lake",
    no_args_is_help=True,
    help="Load the lake's tables, compare them with bronze, rewrite them.",
)

LakeTables = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TABLE]...", help="Tables; all of them if you name none."),
]


@app.command("load")
def load_tables(tables: LakeTables = None) -> None:
    """Load the rows of bronze since the last load, as the schedule does every minute."""
    from orchestration_dagster.lake.lake_tables import TABLES
    from orchestration_dagster.lake.loader import load
    from payment_operations.operator_actions import recorded

    config = settings.load()
    with recorded(config, "lake load") as act:
        for table in tables or TABLES:
            loaded = load(config, table)
            act.detail[table] = loaded.rows
            Screen().line(
                f"{table}: {loaded.rows} rows loaded, {loaded.replaced} replace older versions, "
                f"{loaded.seconds:.1f} s"
            )


@app.command("status")
def status_tables(tables: LakeTables = None) -> None:
    """Show how many rows wait for a load, and compare bronze with the lake; exit 1 if they differ.

    The comparison is by day and currency.
    """
    from orchestration_dagster.lake import compare
    from orchestration_dagster.lake.lake_tables import TABLES

    differing = 0
    for table in tables or TABLES:
        waiting = compare.waiting(settings.load(), table)
        found = compare.differences(settings.load(), table)
        differing += len(found)
        Screen().line(f"{table}: {waiting.rows} rows wait, {len(found)} differences")
        for difference in found:
            Screen().line(f"  {difference}")
    raise typer.Exit(1 if differing else 0)


@app.command("reload")
def reload_tables(
    day: Annotated[
        datetime, typer.Argument(formats=["%Y-%m-%d"], help="Day of insertion into bronze, UTC.")
    ],
    tables: LakeTables = None,
) -> None:
    """Replace one day's rows by bronze's, in one commit for each table.

    Then run `payments dbt build --full-refresh` for the marts. Dagster's job reload_day does both.
    """
    from orchestration_dagster.lake.lake_tables import TABLES
    from orchestration_dagster.lake.rewrite import reload_day
    from payment_operations.operator_actions import recorded

    config = settings.load()
    with recorded(config, "lake reload") as act:
        for table in tables or TABLES:
            done = reload_day(config, table, day.date())
            act.detail[table] = done.appended
            Screen().line(f"{table}: {done.deleted} rows deleted, {done.appended} appended")


@app.command("rebuild")
def rebuild_tables(
    tables: LakeTables = None,
    shrink: Annotated[
        bool, typer.Option("--shrink", help="Allow that rows disappear that bronze no longer has.")
    ] = False,
) -> None:
    """Replace whole tables by bronze's rows; readers see the old table until the one commit.

    Then run `payments dbt build --full-refresh` for the marts. Dagster's job rebuild does both.
    """
    from orchestration_dagster.lake.lake_tables import TABLES
    from orchestration_dagster.lake.rewrite import rebuild
    from payment_operations.operator_actions import recorded

    config = settings.load()
    with recorded(config, "lake rebuild") as act:
        for table in tables or TABLES:
            done = rebuild(config, table, shrink=shrink)
            act.detail[table] = done.appended
            Screen().line(f"{table}: {done.deleted} rows deleted, {done.appended} appended")


@app.command("reanchor")
def reanchor_tables(tables: LakeTables = None) -> None:
    """After a restore or failover of PostgreSQL: load the rows that differ, and continue there.

    Then run `payments dbt build --full-refresh` for the marts. Dagster's job reanchor does both.
    """
    from orchestration_dagster.lake.lake_tables import TABLES
    from orchestration_dagster.lake.rewrite import reanchor
    from payment_operations.operator_actions import recorded

    config = settings.load()
    with recorded(config, "lake reanchor") as act:
        for table in tables or TABLES:
            done = reanchor(config, table)
            act.detail[table] = done.appended
            Screen().line(f"{table}: {done.deleted} rows replaced, {done.appended} appended")
