"""The training of the models on the terminal: a progress bar, then the scores of each model."""

from typing import Final

from payment_pipeline.inference.model_card import Card
from payment_pipeline.inference.training import STEPS, models_dir, train
from payment_pipeline.settings import Settings

from .terminal import Grid, Screen, number_column, table, text_column

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


def main(settings: Settings, seed: int, customers: int, *, as_json: bool) -> dict[str, str]:
    """Train with a progress bar on standard error; print the scores on standard output.

    Returns:
        The new version of each model.

    Raises:
        UserError: there are too few customers, or the models' folder can't be written.
    """
    with Screen(stderr=True).bar(STEPS) as update:
        begun = -1

        def show(step: str) -> None:
            nonlocal begun
            begun += 1
            update(begun, step)

        cards = train(settings, show, seed=seed, customers=customers)
    versions = {card.model: card.version for card in cards}
    screen = Screen()
    if as_json:
        screen.json([card.model_dump(mode="json") for card in cards])
        return versions
    title = "Scores on the last part of the simulated year, which training never saw"
    screen.grid(score_table(cards), title)
    screen.line(CAPTION)
    screen.line(f"Models and cards: {models_dir(settings)}")
    return versions


def score_table(cards: list[Card]) -> Grid:
    """The scores of each model on the last part of the simulated year, which training never saw."""
    shown = table(
        text_column("model, version"),
        number_column("rows"),
        *(number_column(title) for _, title in METRICS),
    )
    for card in cards:
        figures = (f"{card.metrics[name]:.3f}" for name, _ in METRICS)
        shown.row([card.model, card.version], f"{card.data.holdout.rows:,}", *figures)
    return shown
