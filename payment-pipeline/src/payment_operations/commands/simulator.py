"""The command that sends simulated Stripe traffic."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from typer.models import OptionInfo

from payment_operations.command_options import AsJson
from payment_operations.commands import Panel
from payment_pipeline import settings

PANEL: Final = Panel.DATA
app = typer.Typer()


def _share(fault: str) -> OptionInfo:
    """An option that is a share of the genuine events."""
    option: OptionInfo = typer.Option(min=0, max=1, help=f"Share of the events {fault}.")
    return option


Duplicates = Annotated[float, _share("to send twice, byte for byte")]
SecondEndpoint = Annotated[
    float, _share("to send to a second endpoint too: other bytes, perhaps another API version")
]
Late = Annotated[float, _share("to deliver after all the others")]
Malformed = Annotated[float, _share("to follow with a signed body that is no valid event")]
Forged = Annotated[float, _share("to follow with a forged event")]
Altered = Annotated[float, _share("to follow with another body under the same id")]
Withheld = Annotated[float, _share("to withhold; only the simulated API of the provider has them")]
Rate = Annotated[float, typer.Option(min=0, help="Deliveries a second; 0 is as fast as possible.")]
Burst = Annotated[int, typer.Option(min=0, help="Send this many at once every 5 s; needs --rate.")]
Until = Annotated[
    datetime | None,
    typer.Option(help="End of the simulated time, UTC; today 00:00 if left out."),
]
Url = Annotated[
    str | None, typer.Option(help="Another gateway; only a loopback address is allowed.")
]
Ledger = Annotated[
    Path | None,
    typer.Option(help="The file that gets a line for each attempt; a new one if left out."),
]
Connections = Annotated[
    int, typer.Option(min=1, max=1024, help="How many requests to send at a time.")
]


@app.command()
def simulate(
    events: Annotated[
        int, typer.Option(min=1, help="How many genuine events to send; faults are extra.")
    ] = 3000,
    rate: Rate = 0,
    seed: Annotated[
        int, typer.Option(help="The same seed, options and --until give the same bytes.")
    ] = 1,
    duplicates: Duplicates = 0,
    second_endpoint: SecondEndpoint = 0,
    late: Late = 0,
    malformed: Malformed = 0,
    bad_signature: Forged = 0,
    altered: Altered = 0,
    withheld: Withheld = 0,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Send in random order.")] = False,
    burst: Burst = 0,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many days to simulate.")] = 90,
    until: Until = None,
    livemode: Annotated[
        bool, typer.Option("--livemode", help="Mark the events as real money.")
    ] = False,
    connections: Connections = 32,
    url: Url = None,
    ledger: Ledger = None,
    as_json: AsJson = False,
) -> None:
    """Send signed, reproducible, valid Stripe traffic; exit 1 if any answer was wrong.

    The traffic has whole lifecycles in their true order: payments and their declines, refunds,
    disputes, payouts, subscriptions with invoices and retries, fraud rings, connected accounts,
    API versions since 2016, currencies of every exponent, and rare shapes of payments. The
    simulator obeys 503 and Retry-After, and writes each attempt to a ledger file. `payments audit
    --client-ledger FILE` compares the pipeline with that file.
    """
    from payment_operations import simulation
    from payment_pipeline.simulator.simulation_run import Faults, Pace, Period, Run, midnight

    run = Run(
        events=events,
        seed=seed,
        period=Period(midnight(until), days, livemode),
        faults=Faults(
            duplicates, late, malformed, bad_signature, altered, shuffle, second_endpoint, withheld
        ),
        pace=Pace(rate or None, burst),
        connections=connections,
        url=url,
        ledger=ledger,
    )
    sys.exit(simulation.main(settings.load(), run, as_json=as_json))


@app.command("provider-api")
def provider_api(
    events: Annotated[int, typer.Option(min=1, help="How many events, as for `simulate`.")] = 3000,
    seed: Annotated[int, typer.Option(help="The seed of `payments simulate`.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=3650, help="As for `simulate`.")] = 90,
    until: Until = None,
    livemode: Annotated[bool, typer.Option("--livemode", help="As for `simulate`.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port on loopback.")] = 8420,
    throttled: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the requests to answer with 429.")
    ] = 0,
    broken: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the requests to answer with 500.")
    ] = 0,
) -> None:
    """Serve a stand-in of Stripe's API with the events of `payments simulate`, until Ctrl-C.

    Give the same events, seed, days, until and livemode as to `payments simulate`. The API has
    Stripe's pages, its limits, its horizon of 30 days and its connected accounts. It also has the
    events that `simulate --withheld` does not send. Set PAYMENTS_API_URL_STRIPE to its address.
    """
    from payment_operations import provider_api_run
    from payment_pipeline.simulator.provider_api import ApiFaults
    from payment_pipeline.simulator.simulation_run import Period, midnight

    period = Period(midnight(until), days, livemode)
    faults = ApiFaults(throttled, broken)
    provider_api_run.serve(settings.load(), (seed, events, period), faults, port)
