"""The command that trains the models."""

from typing import Annotated, Final

import typer

from payment_operations.commands import Panel
from payment_pipeline import settings

PANEL: Final = Panel.DATA
app = typer.Typer()


@app.command()
def train(
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of the simulated year; the same gives the same versions."),
    ] = None,
    customers: Annotated[
        int | None,
        typer.Option(min=1, help="Customers in the simulated year; more is better and slower."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the model cards as JSON on standard output.")
    ] = False,
) -> None:
    """Train the models on a simulated year, evaluate them on its end, and serve them.

    The models are fraud, churn, and the best retry of a failed payment. The features come from the
    code that serves them, the labels from later events. A running inference service loads the new
    versions by itself. Each version is kept with its card in `<var>/models/<model>/<version>`.
    """
    from payment_operations import model_training
    from payment_operations.operator_actions import recorded
    from payment_pipeline.inference import simulated_year, training

    config = settings.load()
    with recorded(config, "train", required=False) as act:
        act.detail["versions"] = model_training.main(
            config,
            training.DEFAULT_SEED if seed is None else seed,
            simulated_year.CUSTOMERS if customers is None else customers,
            as_json=as_json,
        )
