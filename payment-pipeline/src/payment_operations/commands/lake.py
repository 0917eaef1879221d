"""`payments lake`: load the lake's tables, see how far they are, write them anew.

Imports are inside the verbs, as in `cli`.
"""

from datetime import datetime
from typing import Annotated

import typer

from payment_pipeline import settings

app = typer.Typer(
    no_args_is_help=True, help="The lake's tables: load them, see how far, write them anew."
)
LakeTables = Annotated[
    list[str] | None, typer.Argument(metavar="[TABLE]...", help="All of them if none.")
]


@app.command("load")
def load_tables(tables: LakeTables = None) -> None:
    """Load what bronze has since the last load; the schedule does so each minute."""
    from orchestration_dagster.lake.lake_tables import TABLES
    from orchestration_dagster.lake.loader import load

    for table in tables or TABLES:
        loaded = load(settings.load(), table)
        typer.echo(
            f"{table}: {loaded.rows} rows, {loaded.replaced} of them newer states, "
            f"{loaded.seconds:.1f} s"
        )


@app.command("status")
def status_tables(tables: LakeTables = None) -> None:
    """Say what waits, and whether bronze = lake by day and currency; exit 1 if it is not."""
    from orchestration_dagster.lake import compare
    from orchestration_dagster.lake.lake_tables import TABLES

    differing = 0
    for table in tables or TABLES:
        waiting = compare.waiting(settings.load(), table)
        found = compare.differences(settings.load(), table)
        differing += len(found)
        typer.echo(f"{table}: {waiting.rows} rows wait, {len(found)} differences")
        for difference in found:
            typer.echo(f"  {difference}")
    raise typer.Exit(1 if differing else 0)


@app.command("reload")
def reload_tables(
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="Of insertion, UTC.")],
    tables: LakeTables = None,
) -> None:
    """Write the rows of one day anew from bronze, in one commit a table.

    The marts follow with `payments dbt build --full-refresh`; Dagster's job reload_day does both.
    """
    from orchestration_dagster.lake.lake_tables import TABLES
    from orchestration_dagster.lake.rewrite import reload_day

    for table in tables or TABLES:
        done = reload_day(settings.load(), table, day.date())
        typer.echo(f"{table}: {done.deleted} rows deleted, {done.appended} appended")


@app.command("rebuild")
def rebuild_tables(
    tables: LakeTables = None,
    shrink: Annotated[
        bool, typer.Option("--shrink", help="Rows that bronze no longer has may go.")
    ] = False,
) -> None:
    """Write whole tables anew from bronze; readers see the old one until the one commit.

    The marts follow with `payments dbt build --full-refresh`; Dagster's job rebuild does both.
    """
    from orchestration_dagster.lake.lake_tables import TABLES
    from orchestration_dagster.lake.rewrite import rebuild

    for table in tables or TABLES:
        done = rebuild(settings.load(), table, shrink=shrink)
        typer.echo(f"{table}: {done.deleted} rows deleted, {done.appended} appended")


@app.command("reanchor")
def reanchor_tables(tables: LakeTables = None) -> None:
    """After PostgreSQL was restored or promoted: load what differs, and go on from there.

    The marts follow with `payments dbt build --full-refresh`; Dagster's job reanchor does both.
    """
    from orchestration_dagster.lake.lake_tables import TABLES
    from orchestration_dagster.lake.rewrite import reanchor

    for table in tables or TABLES:
        done = reanchor(settings.load(), table)
        typer.echo(f"{table}: {done.deleted} rows replaced, {done.appended} appended")
