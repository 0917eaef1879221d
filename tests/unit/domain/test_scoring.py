"""A score item has what the models and the retry rules ask for, and no more."""

import pytest
from pydantic import ValidationError

from payment_pipeline.domain.scoring import EventScores, ScoreRequest, decline_inputs, score_item
from support.bare_event import event


def test_a_failed_charge_tells_its_codes_and_its_card() -> None:
    failed = event(
        "charge.failed",
        decline={
            "reason": "insufficient_funds",
            "decline_class": "insufficient_funds",
            "code": "card_declined",
            "network_decline_code": "51",
        },
        payment_method={"network": "visa", "country": "US", "card_hash": "secret"},
    )
    assert decline_inputs(failed) == {
        "provider": "stripe",
        "decline_reason": "insufficient_funds",
        "decline_class": "insufficient_funds",
        "code": "card_declined",
        "network_decline_code": "51",
        "network": "visa",
        "card_country": "US",
    }


def test_the_brand_stands_in_for_an_unknown_network() -> None:
    failed = event("payment.failed", payment_method={"brand": "mastercard"})
    assert decline_inputs(failed) == {"provider": "stripe", "network": "mastercard"}


def test_a_failed_invoice_tells_its_attempts() -> None:
    failed = event("invoice.payment_failed", attempt_count=3)
    assert decline_inputs(failed) == {"provider": "stripe", "attempt_count": "3"}


def test_a_failure_of_which_nothing_is_known_is_still_one() -> None:
    assert decline_inputs(event("charge.failed", provider="acme")) == {"provider": "acme"}


@pytest.mark.parametrize(
    "event_type", ["charge.succeeded", "payment.created", "invoice.paid", "payout.failed"]
)
def test_what_is_no_failed_attempt_has_no_decline(event_type: str) -> None:
    assert decline_inputs(event(event_type)) is None


def test_an_item_survives_the_wire() -> None:
    item = score_item(event("charge.failed", decline={"code": "x"}), {"risk_score": 7.0})
    request = ScoreRequest(events=[item])
    assert ScoreRequest.model_validate_json(request.model_dump_json()) == request


def test_a_model_that_nobody_knows_here_is_answered_for_all_the_same() -> None:
    score = {"value": 0.5, "model": "new", "version": "1", "reasons": []}
    scores = EventScores.model_validate({"event_id": "evt_1", "new_score": score})
    assert scores.scored
    assert scores.model_dump(exclude_none=True) == {"event_id": "evt_1", "new_score": score}


def test_what_is_no_score_is_refused_under_any_name() -> None:
    with pytest.raises(ValidationError):
        EventScores.model_validate({"event_id": "evt_1", "new_score": {"value": 0.5}})


def test_an_event_that_no_model_has_an_answer_for_is_not_scored() -> None:
    assert not EventScores.model_validate({"event_id": "evt_1", "new_score": None}).scored
