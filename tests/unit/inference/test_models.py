"""Every registered model answers as its fixture says, with reasons.

These tests find a new model by its file in `models/` and its fixture in `fixtures/`.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from payment_pipeline.domain.features import FEATURES
from payment_pipeline.domain.scoring import EventScores, Score, ScoreItem, ScoreResponse
from payment_pipeline.inference.model_card import Card
from payment_pipeline.inference.models import models
from payment_pipeline.inference.scorecard import REASONS_MAX
from payment_pipeline.inference.scoring_engine import Engine

FIXTURES = Path(__file__).parent / "fixtures"
CASES = [
    pytest.param(name, case, id=f"{name}: {case['about']}")
    for name in models()
    for case in json.loads((FIXTURES / f"{name}.json").read_text())
]
LIFT_MIN = {"fraud": 0.85, "churn": 0.65, "retry_strategy": 0.65}
"""ROC AUC on the small history: far below what the full one gives, far above chance."""


def item(case: dict[str, Any]) -> ScoreItem:
    asked = {name: case[name] for name in ("kind", "event_type", "features")}
    return ScoreItem.model_validate(
        asked
        | {
            "event_id": "evt_1",
            "occurred_at": "2025-06-05T12:00:00Z",
            "decline": case.get("decline"),
        }
    )


def answer(loaded: Engine, asked: ScoreItem) -> EventScores:
    (scores,) = ScoreResponse.model_validate_json(loaded.score([asked]).body).scores
    return scores


@pytest.mark.parametrize(("name", "case"), CASES)
def test_answers_as_its_fixture_says(
    loaded: Engine, cards: dict[str, Card], name: str, case: dict[str, Any]
) -> None:
    score: Score | None = getattr(answer(loaded, item(case)), models()[name].output)
    if not case.get("applies", True):
        assert score is None
        return
    assert score is not None
    if "values" in case:
        assert score.value in case["values"]
    else:
        assert isinstance(score.value, float)
        times = score.value / cards[name].metrics["base_rate"]
        assert case.get("times_base_rate_min", 0) <= times <= case.get("times_base_rate_max", 100)
    assert score.model == name
    assert score.version == loaded.versions[name]
    assert 1 <= len(score.reasons) <= REASONS_MAX


@pytest.mark.parametrize("name", sorted(models()))
def test_card_says_how_well_it_does_where_it_was_not_trained(
    cards: dict[str, Card], name: str
) -> None:
    card = cards[name]
    assert card.metrics["roc_auc"] > LIFT_MIN.get(name, 0.6)
    assert card.metrics["brier"] < card.metrics["brier_base_rate"]
    assert card.metrics["calibration_error"] < 0.12
    assert card.data.train.last_day < card.data.calibration.first_day
    assert card.data.calibration.last_day < card.data.holdout.first_day
    assert sum(one.rows for one in card.calibration) == card.data.holdout.rows
    assert all(feature.meaning for feature in card.features)


def test_answers_under_a_name_of_its_own() -> None:
    outputs = [model.output for model in models().values()]
    assert len(set(outputs)) == len(outputs)
    assert "event_id" not in outputs
    assert all(model.name == name for name, model in models().items())


def test_no_feature_is_computed_for_nobody(cards: dict[str, Card]) -> None:
    used = {feature.name for card in cards.values() for feature in card.features}
    by_the_rules = {"card_failures_30d", "customer_failures_30d"}
    assert set(FEATURES) <= used | by_the_rules
