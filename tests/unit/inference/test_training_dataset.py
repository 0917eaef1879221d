"""The training data: the same features as in serving, and no knowledge of the future."""

from datetime import timedelta

import numpy as np

from payment_pipeline.domain.features import EntityKey, EntityState, apply, entities, vector
from payment_pipeline.domain.scoring import ScoreItem, score_item
from payment_pipeline.inference.scorecard import filled
from payment_pipeline.inference.scoring_engine import Engine
from payment_pipeline.inference.training_dataset import (
    FEATURE_NAMES,
    History,
    matrix,
    split_by_time,
)


def item(features: dict[str, float]) -> ScoreItem:
    return ScoreItem.model_validate(
        {
            "event_id": "evt_1",
            "kind": "charge",
            "event_type": "charge.succeeded",
            "occurred_at": "2025-06-01T12:00:00Z",
            "features": features,
        }
    )


def test_online_and_training_see_the_same(history: History) -> None:
    """As the orchestrator does: read the states, make the vector, and only then write the event."""
    states: dict[EntityKey, EntityState] = {}
    for row, event in enumerate(history.events[:4000]):
        online = score_item(event, vector(event, entities(event), states))
        assert online == history.items[row]
        for key in entities(event):
            apply(states.setdefault(key, EntityState()), key, event)


def test_a_stored_history_scores_as_it_did_in_training(history: History, loaded: Engine) -> None:
    fraud = next(one for one in loaded.loaded if one.model.name == "fraud")
    rows = [row for row, one in enumerate(history.items) if fraud.model.applies(one)][:500]
    asked = [history.items[row] for row in rows]
    over_the_wire = [ScoreItem.model_validate_json(one.model_dump_json()) for one in asked]
    in_training = fraud.scorer.score(asked, history.features[rows])
    assert fraud.scorer.score(over_the_wire, matrix(over_the_wire)[0]) == in_training


def test_unknown_not_finite_and_unheard_of_features() -> None:
    asked = [item({"risk_score": 7.0, "no_such_feature": 1.0}), item({"risk_score": float("inf")})]
    values, unheard = matrix(asked)
    column = FEATURE_NAMES.index("risk_score")
    assert unheard == 1
    assert values[0, column] == 7.0
    assert np.isnan(values[1, column])
    assert np.isnan(np.delete(values, column, axis=1)).all()


def test_an_unknown_value_is_read_as_the_shape_s_default(loaded: Engine) -> None:
    fraud = next(one for one in loaded.loaded if one.model.name == "fraud")
    shapes = fraud.scorer.card.shapes  # type: ignore[attr-defined]  # a classifier has a card
    assert filled(matrix([item({})])[0], shapes).tolist() == [[one.default for one in shapes]]


def test_no_label_looks_into_the_next_span() -> None:
    at_s = np.arange(0, 100 * 86_400, 3600, dtype=np.float64)
    window = timedelta(days=5)
    split = split_by_time(at_s, np.arange(len(at_s)), window)
    for earlier, later in ((split.train, split.calibration), (split.calibration, split.holdout)):
        assert at_s[earlier].max() + window.total_seconds() < at_s[later].min() + 3600
    assert all(len(rows) for rows in split)
