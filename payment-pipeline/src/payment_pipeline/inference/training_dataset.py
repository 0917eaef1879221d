"""The training data: a history of events with their features, and its split by time."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.features import FEATURES, EntityKey, EntityState, fold
from payment_pipeline.domain.scoring import ScoreItem, score_item

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]
Flags: TypeAlias = NDArray[np.bool_]

FEATURE_NAMES: Final = tuple(FEATURES)
"""The columns of every feature matrix, in this order."""
TRAIN_SHARE: Final = 0.6
CALIBRATION_SHARE: Final = 0.2

_UNKNOWN: Final = dict.fromkeys(FEATURE_NAMES, float("nan"))
_row = itemgetter(*FEATURE_NAMES)


class History(NamedTuple):
    """Events in chronological order, each with its features just before the event."""

    source: str
    """The origin of the history, for the model card."""
    events: Sequence[PaymentEvent]
    items: Sequence[ScoreItem]
    """The items that the orchestrator would send to inference for each event."""
    features: Floats
    """(events, `FEATURE_NAMES`); NaN is unknown."""
    at_s: Floats
    """Seconds since the epoch."""


class Split(NamedTuple):
    """Row indices of three spans of time: for training, calibration and evaluation."""

    train: Indices
    calibration: Indices
    holdout: Indices


def replay(source: str, events: Iterable[PaymentEvent]) -> History:
    """Compute features as the bronze writer does. The `events` are in chronological order."""
    states: dict[EntityKey, EntityState] = {}
    kept: list[PaymentEvent] = []
    items: list[ScoreItem] = []
    for event, features in fold(events, states):
        kept.append(event)
        items.append(score_item(event, features))
    at_s = np.array([event.occurred_at.timestamp() for event in kept])
    return History(source, kept, items, matrix(items)[0], at_s)


def matrix(items: Sequence[ScoreItem]) -> tuple[Floats, int]:
    """Return the features, (items, `FEATURE_NAMES`), and the count of values with an unknown name.

    NaN means unknown. Values that are not finite become NaN. Unknown names are left out.
    """
    known, unheard = len(_UNKNOWN), 0
    rows = []
    for item in items:
        row = _UNKNOWN | item.features
        unheard += len(row) - known
        rows.append(_row(row))
    values = np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * known)
    values[~np.isfinite(values)] = np.nan
    return values.reshape(-1, known), unheard


def split_by_time(at_s: Floats, rows: Indices, label_window: timedelta) -> Split:
    """Split rows by time, so that a model is trained on the past and evaluated on the future.

    A row is left out if its label depends on the next span: the label was not known when that span
    began.

    Args:
        at_s: the time of every event, in seconds.
        rows: the rows that have a label.
        label_window: how long after its event a label is decided.
    """
    if not len(rows):
        return Split(rows, rows, rows)
    start_s, end_s = float(at_s[rows].min()), float(at_s[rows].max())
    span_s, window_s = end_s - start_s, label_window.total_seconds()
    calibrate_s = start_s + TRAIN_SHARE * span_s
    judge_s = calibrate_s + CALIBRATION_SHARE * span_s
    at = at_s[rows]
    return Split(
        rows[at < calibrate_s - window_s],
        rows[(at >= calibrate_s) & (at < judge_s - window_s)],
        rows[at >= judge_s],
    )


def day(at_s: float) -> str:
    """Return the UTC date of a Unix time, for a model card."""
    return datetime.fromtimestamp(at_s, UTC).date().isoformat()
