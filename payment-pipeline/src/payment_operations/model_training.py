"""The training of the models on the terminal: a progress bar, then the scores of each model."""

import json
import sys
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from payment_pipeline.inference.model_card import Card
from payment_pipeline.inference.training import STEPS, models_dir, train
from payment_pipeline.settings import Settings

from .terminal import number_column, show_table, table, text_column

METRICS: Final = (
    ("roc_auc", "AUC"),
    ("average_precision", "AP"),
    ("brier", "Brier"),
    ("brier_base_rate", "base"),
    ("calibration_error", "calib."),
)
CAPTION: Final = (
    "AP: average precision; base: Brier score of always predicting the mean; calib.: mean "
    "difference between predicted and observed rates"
)


def main(settings: Settings, seed: int, customers: int, *, as_json: bool) -> None:
    """Train with a progress bar on standard error; print the scores on standard output.

    Raises:
        UserError: there are too few customers, or the models' folder can't be written.
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
    console = Console(highlight=False)
    title = "Scores on the last part of the simulated year, which training never saw"
    show_table(console, score_table(cards), title)
    console.print(CAPTION)
    console.print(f"Models and cards: {models_dir(settings)}", soft_wrap=True)


def score_table(cards: list[Card]) -> Table:
    """The scores of each model on the last part of the simulated year, which training never saw."""
    shown = table(
        text_column("model, version"),
        number_column("rows"),
        *(number_column(title) for _, title in METRICS),
    )
    for card in cards:
        figures = (f"{card.metrics[name]:.3f}" for name, _ in METRICS)
        shown.add_row(f"{card.model}\n{card.version}", f"{card.data.holdout.rows:,}", *figures)
    return shown
