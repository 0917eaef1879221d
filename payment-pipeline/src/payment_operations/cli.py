"""The `payments` command: one verb a line, each a thin call into the stage that does the work.

Exit codes: 0 done; 1 the answer is no (a check is red, the audit found something missing); 2 the
call or the configuration is wrong. A mistake is one sentence on standard error, never a traceback.
Imports are inside the verbs, so that `payments --help` doesn't load every stage.
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.console import Console
from typer.models import OptionInfo

from payment_pipeline import settings
from payment_pipeline.domain.failures import UserError

from .commands import bronze, dlq, lake, review, secrets

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Signed payment webhooks in, nothing lost, every payment scored.",
)

ANYTHING: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Of a verb whose words are another program's."""


def main() -> None:
    """Run one verb; turn every mistake of the user's into a sentence and an exit code."""
    stderr = Console(stderr=True, highlight=False)
    try:
        app()
    except UserError as mistake:
        stderr.print(f"payments: {mistake}", style="red", markup=False, soft_wrap=True)
        sys.exit(mistake.exit_code)
    except ValidationError as wrong:
        for sentence in settings.sentences(wrong):
            stderr.print(f"payments: {sentence}", style="red", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def up(
    only: Annotated[
        str, typer.Option(help="Comma-separated components; what they need comes with them.")
    ] = "",
    groups: Annotated[
        str, typer.Option("--with", help="Beside the pipeline: `lakehouse`, `dashboards`, or both.")
    ] = "",
) -> None:
    """Start the native stack, and return when every component is truly ready.

    Calling it again changes nothing that runs, and brings back what has died.
    """
    from payment_operations import stack_text

    stack_text.up(settings.load(), _named(only), _named(groups))


def _named(listed: str) -> tuple[str, ...]:
    """The names in a comma-separated list."""
    return tuple(name for name in listed.split(",") if name)


@app.command()
def down() -> None:
    """Stop every process of the stack; its data stays."""
    from local_stack import stack

    stack.down(settings.load())


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False) -> None:
    """Show what runs where, and whether it does its work; exit 1 when anything doesn't."""
    from local_stack import stack
    from payment_operations import stack_text

    standings = stack.status(settings.load())
    if as_json:
        typer.echo(json.dumps([standing._asdict() for standing in standings], indent=2))
    else:
        stack_text.show_status(standings)
    all_well = all(each.ready or each.state == "elsewhere" for each in standings)
    raise typer.Exit(0 if all_well else 1)


@app.command()
def logs(
    components: Annotated[list[str] | None, typer.Argument(help="All of them if none.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Last lines of each.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Show what the components said last."""
    from payment_operations import stack_text

    stack_text.show_logs(settings.load(), tuple(components or ()), lines, on=follow)


@app.command()
def doctor(
    groups: Annotated[
        str, typer.Option("--with", help="Beside the pipeline: `lakehouse`, `dashboards`, or both.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Check what the stack needs of this machine, and say what to do where it is red; exit 1 then.

    Of stores that run it says too whether Kafka keeps what is still needed for long enough, and
    whether a transaction holds the lake back. It starts and changes nothing.
    """
    from local_stack import components, preflight
    from payment_operations import retention_checks, stack_text

    checks = preflight.checks(settings.load(), components.chosen(groups=_named(groups)))
    checks += retention_checks.checks(settings.load())
    if as_json:
        typer.echo(json.dumps([check._asdict() for check in checks], indent=2))
    else:
        stack_text.show_checks(checks)
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


@app.command()
def migrate() -> None:
    """Provision the stores: PostgreSQL's schema, Kafka's topics, Temporal's search attributes.

    `up` does it too. Call it where the stores run elsewhere.
    """
    import asyncio

    from payment_operations import provisioning

    for store, made in asyncio.run(provisioning.migrate(settings.load())).items():
        typer.echo(f"{store}: {', '.join(made) or 'nothing to do'}")


@app.command()
def audit(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, for a machine.")
    ] = False,
    client_ledger: Annotated[
        Path | None,
        typer.Option(help="The client's own ledger, as `payments simulate` writes it."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Received from then on: RFC 3339, or 15m, 2h, 7d ago.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Received before then; now if left out.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds that the pipeline may take to settle first.")
    ] = 60,
    through: Annotated[
        str | None,
        typer.Option(help="`bronze`, `lake` or `facts`: so far, and no answer without it."),
    ] = None,
) -> None:
    """Prove that nothing was lost and nothing is there twice; exit 1 and name it if something is.

    Compares the events on the raw topics with those normalized, rejected and unmodelled, these
    with the rows of bronze and the quarantine, and these with the lake and the facts if they are
    there, by body hash and by the amounts of each currency. What the next load brings into the lake
    is not missing, unless `--through` waits for it. With a client's ledger the proof doesn't rest
    on what the pipeline says of itself; its attempts within a minute of the window's ends are left
    out, since two clocks differ, and if those are all there are, that is no proof: exit 1.
    """
    from payment_operations import ledger_audit

    given = since, until, client_ledger, wait, through
    sys.exit(ledger_audit.audit(settings.load(), *given, as_json=as_json))


@app.command()
def trace(
    wanted: Annotated[
        str, typer.Argument(metavar="ID", help="An event's, a payment's or a workflow's.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, for a machine.")
    ] = False,
) -> None:
    """Tell the whole life of an event or a payment: where it came in, how it was scored, its row.

    Names the topic, partition and offset, the trace id, the workflow with its link, the scores with
    their reasons, and the row or the dead letter with its reason; of a payment every event in order
    of occurrence, with its reviews and recoveries. What is in no table yet is looked for on the
    topics. An id that nothing has: exit 1.
    """
    from payment_operations import ledger_audit

    sys.exit(ledger_audit.show_trace(settings.load(), wanted, as_json=as_json))


@app.command(add_help_option=False, context_settings=ANYTHING)
def dbt(context: typer.Context) -> None:
    """Run dbt in its project, on the Trino of the settings; all that follows is dbt's own."""
    from payment_operations.marts import become_dbt

    become_dbt(settings.load(), context.args)


@app.command()
def demo(
    events: Annotated[
        int, typer.Option(min=100, help="Genuine events; a fifth as many payments.")
    ] = 15_000,
) -> None:
    """Go from nothing to dashboards: start everything, simulate, load, model, audit.

    Ends with links, figures and the audit's verdict; exit 1 when that is not clean. Again it adds
    other payments to the first ones.
    """
    from payment_operations import demo as whole

    sys.exit(whole.run(settings.load(), events))


def _share(what: str) -> OptionInfo:
    """An option that is a share of the genuine events."""
    option: OptionInfo = typer.Option(min=0, max=1, help=f"Share of the events {what}.")
    return option


@app.command()
def simulate(
    events: Annotated[int, typer.Option(min=1, help="Genuine events; faults come on top.")] = 3000,
    rate: Annotated[
        float, typer.Option(min=0, help="Deliveries a second; 0: as fast as they are answered.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Same seed, options, --until: same bytes.")] = 1,
    duplicates: Annotated[float, _share("sent twice, byte for byte")] = 0,
    late: Annotated[float, _share("delivered after all the others")] = 0,
    malformed: Annotated[float, _share("followed by a signed body that is no valid event")] = 0,
    bad_signature: Annotated[float, _share("followed by a forged one")] = 0,
    altered: Annotated[float, _share("followed by their id on another body")] = 0,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Send in random order.")] = False,
    burst: Annotated[int, typer.Option(min=0, help="So many at once every 5 s; needs --rate.")] = 0,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Simulated days.")] = 90,
    until: Annotated[
        datetime | None, typer.Option(help="End of the simulated time, UTC; else today 00:00.")
    ] = None,
    livemode: Annotated[bool, typer.Option("--livemode", help="Say it's real money.")] = False,
    connections: Annotated[int, typer.Option(min=1, max=1024, help="Requests at a time.")] = 32,
    url: Annotated[str | None, typer.Option(help="Another gateway; loopback only.")] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Where to write each attempt; a new file if left out.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output.")
    ] = False,
) -> None:
    """Send signed, seeded, schema-true Stripe traffic; exit 1 if any answer was a wrong one.

    Whole life cycles in true order: payments and their declines, refunds, disputes, payouts,
    subscriptions with their invoices and retries, fraud rings, connected accounts, five API
    versions, currencies of every exponent. It obeys 503 and Retry-After. Each attempt is a line of
    its own ledger file, which `payments audit --client-ledger FILE` checks the pipeline against.
    """
    from payment_operations import simulation
    from payment_pipeline.simulator.run import Faults, Pace, Period, Run, midnight

    run = Run(
        events=events,
        seed=seed,
        period=Period(midnight(until), days, livemode),
        faults=Faults(duplicates, late, malformed, bad_signature, altered, shuffle),
        pace=Pace(rate or None, burst),
        connections=connections,
        url=url,
        ledger=ledger,
    )
    sys.exit(simulation.main(settings.load(), run, as_json=as_json))


@app.command()
def train(
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of the simulated year; the same gives the same versions."),
    ] = None,
    customers: Annotated[
        int | None, typer.Option(min=1, help="Of the simulated year; more learn better, slower.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The model cards as JSON on standard output.")
    ] = False,
) -> None:
    """Train the models on a simulated year, judge them on its end, and serve them from now on.

    Fraud, churn and the best retry of a failed payment. Features are computed by the code that
    serves them, labels come from later events. A running inference takes the new versions up by
    itself. Each version is kept with its card in `<var>/models/<model>/<version>`.
    """
    from payment_operations import training as training_run
    from payment_pipeline.inference import history, training

    training_run.main(
        settings.load(),
        training.DEFAULT_SEED if seed is None else seed,
        history.CUSTOMERS if customers is None else customers,
        as_json=as_json,
    )


@app.command()
def contracts(
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether they are up to date.")
    ] = False,
) -> None:
    """Write the topics' contracts to `docs/contracts`: JSON Schema and AsyncAPI, from the types.

    Refuses a change that would break a consumer of what is published, unless it raises
    `schema_version`.
    """
    from payment_pipeline.normalizer import contracts as published

    if check:
        published.check()
        typer.echo("docs/contracts is up to date")
        return
    typer.echo(f"written: {', '.join(published.write()) or 'nothing had changed'}")


@app.command()
def metrics(
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether it is up to date.")
    ] = False,
) -> None:
    """Write the table of all metrics to `docs/guides/metrics.md`, from the code."""
    from payment_operations import metrics_table

    if check:
        metrics_table.check()
        typer.echo("docs/guides/metrics.md is up to date")
        return
    typer.echo("written" if metrics_table.write() else "nothing had changed")


@app.command()
def forget(
    customer: Annotated[str, typer.Option(metavar="ID", help="The customer's, by the provider.")],
    provider: Annotated[str, typer.Option(help="Whose customer it is.")] = "stripe",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is where; change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before it begins.")] = False,
    through: Annotated[
        str, typer.Option(help="`facts`, or `bronze` where there is no lakehouse.")
    ] = "facts",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, for a machine.")
    ] = False,
) -> None:
    """Erase a person everywhere, and prove it; exit 1 if something is left.

    Searches the topics, Temporal, every table of bronze and every file of the lake; cuts, deletes,
    puts a random token in the customer's place, and searches again. Amounts and events stay. Call
    it again whenever it was interrupted. Delete the customer at the provider first: what is sent
    after it is a new customer here. See docs/runbooks/erasure.md.
    """
    from payment_operations import erasure, marts

    request = erasure.Request(
        provider, customer, through, dry_run=dry_run, confirmed=yes, as_json=as_json
    )
    sys.exit(erasure.main(settings.load(), request, marts.rebuild))


app.add_typer(bronze.app)
app.add_typer(review.app, name="review")
app.add_typer(secrets.app, name="secrets")
app.add_typer(dlq.app, name="dlq")
app.add_typer(lake.app, name="lake")


if __name__ == "__main__":
    main()
