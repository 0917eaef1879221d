"""What does a person see of training: a progress bar, then how well each model does?"""

import json
import sys
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from payment_pipeline.inference.card import Card
from payment_pipeline.inference.training import STEPS, models_dir, train
from payment_pipeline.settings import Settings

METRICS: Final = (
    ("roc_auc", "AUC"),
    ("average_precision", "AP"),
    ("brier", "Brier"),
    ("brier_base_rate", "base"),
    ("calibration_error", "calib."),
)


def main(settings: Settings, seed: int, customers: int, *, as_json: bool) -> None:
    """Train with a progress bar on standard error, and say what came of it on standard output.

    Raises:
        UserError: too few customers to learn from, or the models' folder can't be written.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("", total=STEPS)
        begun = -1

        def show(step: str) -> None:
            nonlocal begun
            begun += 1
            bar.update(task, description=step, completed=begun)

        cards = train(settings, show, seed=seed, customers=customers)
        bar.update(task, description="Trained", completed=STEPS)
    if as_json:
        sys.stdout.write(json.dumps([card.model_dump(mode="json") for card in cards]) + "\n")
        return
    console = Console()
    console.print(_table(cards))
    console.print(f"Models and cards: {models_dir(settings)}", highlight=False)


def _table(cards: list[Card]) -> Table:
    table = Table(
        title="On the last span of time, which no model has seen",
        caption="AP: average precision; base: Brier of always saying the mean; calib.: mean gap"
        " between predicted and observed",
    )
    table.add_column("model", no_wrap=True)
    table.add_column("version", no_wrap=True)
    table.add_column("rows", justify="right")
    for _, title in METRICS:
        table.add_column(title, justify="right")
    for card in cards:
        figures = (f"{card.metrics[name]:.3f}" for name, _ in METRICS)
        table.add_row(card.model, card.version, f"{card.data.holdout.rows:,}", *figures)
    return table
