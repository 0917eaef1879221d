"""The retry rules: no advice breaks a rule of a card network or of the provider."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment_pipeline.domain.declines import CLASSES, DeclineClass, DeclineReason
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.scoring import EventScores, ScoreItem, ScoreResponse
from payment_pipeline.inference.retry_rules import DEFAULT_RULES, Retry, load
from payment_pipeline.inference.scoring_engine import Engine

RULES = load(DEFAULT_RULES)
AT = datetime(2025, 6, 5, 12, tzinfo=UTC)

# A second copy of the rules, independent of the file, to check the answers of the engine.
VISA_NEVER = {"04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3"}
MASTERCARD_NEVER = {"01", "03", "21", "40", "41"}
MASTERCARD_WAIT_H = {
    "02": 72,
    "24": 1,
    "25": 24,
    "26": 48,
    "27": 96,
    "28": 144,
    "29": 192,
    "30": 240,
}
HARD = {
    *("incorrect_number", "lost_card", "pickup_card", "stolen_card", "not_allowed"),
    *("authorization_revoked", "payment_stopped", "do_not_try_again", "invalid_account"),
    *("card_not_supported", "currency_not_supported"),
    *("authentication_required", "authentication_failed"),
    *("fraud_suspected", "blocked", "restricted_card", "security_violation"),
}
CAPS = {"visa": 15, "mastercard": 10}
CAP_OF_STRIPE = 8
LOWEST_CAP = 10
"""The cap for another provider's payment whose network is unknown."""


def item(features: dict[str, float] | None = None, **decline: str) -> ScoreItem:
    return ScoreItem(
        event_id="evt_1",
        kind="charge",
        event_type="charge.failed",
        occurred_at=AT,
        features=features or {},
        decline=decline,
    )


def declined(reason: DeclineReason | None) -> dict[str, Any]:
    """The inputs of a decline with this reason."""
    if reason is None:
        return {}
    return {"decline_reason": reason.value, "decline_class": CLASSES[reason].value}


@st.composite
def failures(draw: st.DrawFn) -> ScoreItem:
    def maybe(name: str, values: set[str]) -> dict[str, str]:
        value = draw(st.none() | st.sampled_from(sorted(values)))
        return {} if value is None else {name: value}

    decline = (
        maybe("network", {"visa", "mastercard", "amex", "Visa"})
        | maybe("provider", {"stripe", "acme"})
        | declined(draw(st.none() | st.sampled_from(DeclineReason)))
        | maybe("decline_code", {"lost_card", "authentication_required", "never_heard_of"})
        | maybe("advice_code", {"confirm_card_data", "do_not_try_again", "try_again_later"})
        | maybe("network_decline_code", VISA_NEVER | {"05", "51", "r1"})
        | maybe("network_advice_code", MASTERCARD_NEVER | set(MASTERCARD_WAIT_H))
        | maybe("card_country", {"IN", "US", "in"})
        | maybe("attempt_count", {"1", "5", "9", "40", "many"})
    )
    counts = st.none() | st.integers(0, 20) | st.just(float("nan"))
    features = {
        name: float(count)
        for name in ("card_failures_30d", "customer_failures_30d")
        if (count := draw(counts)) is not None
    }
    at = AT + timedelta(hours=draw(st.integers(0, 24 * 60)))
    return item(features).model_copy(update={"occurred_at": at, "decline": decline})


def retry_is_forbidden(asked: ScoreItem) -> bool:
    said = {name: value.upper() for name, value in (asked.decline or {}).items()}
    network = said.get("network", "").lower()
    by_stripe = said.get("provider") == "STRIPE"
    return (
        (network in ("visa", "") and said.get("network_decline_code") in VISA_NEVER)
        or (network in ("mastercard", "") and said.get("network_advice_code") in MASTERCARD_NEVER)
        or said.get("decline_reason", "").lower() in HARD
        or (by_stripe and said.get("advice_code") in ("DO_NOT_TRY_AGAIN", "CONFIRM_CARD_DATA"))
        or (by_stripe and said.get("card_country") == "IN")
        or failed_before(asked) >= CAPS.get(network, CAP_OF_STRIPE if by_stripe else LOWEST_CAP)
    )


def failed_before(asked: ScoreItem) -> float:
    known = asked.features
    count = known.get("card_failures_30d", known.get("customer_failures_30d", 0.0))
    counted = (asked.decline or {}).get("attempt_count", "")
    return max(count if count == count else 20.0, int(counted) - 1 if counted.isdecimal() else 0)


def answer(loaded: Engine, asked: ScoreItem) -> EventScores:
    (scores,) = ScoreResponse.model_validate_json(loaded.score([asked]).body).scores
    return scores


@settings(max_examples=400, deadline=None)
@given(asked=failures())
def test_no_forbidden_retry_is_ever_advised(loaded: Engine, asked: ScoreItem) -> None:
    score = answer(loaded, asked).retry_strategy
    assert score is not None
    assert score.detail is not None
    strategy = str(score.value)
    assert strategy in {*RULES.retries, *RULES.ask, RULES.give_up}
    if strategy not in RULES.retries:
        assert "delay_s" not in score.detail
        return
    assert not retry_is_forbidden(asked)
    assert float(score.detail["attempts_left"]) > 0
    said = asked.decline or {}
    wait_h = MASTERCARD_WAIT_H.get(said.get("network_advice_code", ""), 0)
    if said.get("network") in ("mastercard", None):
        assert float(score.detail["delay_s"]) >= wait_h * 3600


@pytest.mark.parametrize(
    ("decline", "instead", "rule"),
    [
        ({"network": "visa", "network_decline_code": "14"}, "update_card", "visa_never"),
        ({"network": "mastercard", "network_advice_code": "21"}, "do_not_retry", "mastercard_stop"),
        (declined(DeclineReason.STOLEN_CARD), "do_not_retry", "suspected_fraud_stop"),
        (declined(DeclineReason.PAYMENT_STOPPED), "do_not_retry", "hard_decline_stop"),
        (
            declined(DeclineReason.AUTHENTICATION_FAILED),
            "authenticate",
            "hard_decline_authenticate",
        ),
        (declined(DeclineReason.NOT_ALLOWED), "update_card", "hard_decline_update_card"),
        (
            {"provider": "stripe", "advice_code": "do_not_try_again"},
            "do_not_retry",
            "stripe_stop",
        ),
        (
            {"provider": "stripe", "advice_code": "confirm_card_data"},
            "update_card",
            "stripe_confirm_card",
        ),
        ({"provider": "stripe", "card_country": "IN"}, "authenticate", "stripe_india"),
    ],
)
def test_the_rule_that_forbids_is_named(decline: dict[str, Any], instead: str, rule: str) -> None:
    allowed = RULES.judge(item(**decline))
    assert (allowed.instead, allowed.rule, allowed.retries) == (instead, rule, ())


def test_a_network_s_code_says_nothing_of_another_network_s_card() -> None:
    assert RULES.judge(item(network="mastercard", network_decline_code="57")).retries
    assert RULES.judge(item(network="visa", network_advice_code="03")).retries


def test_an_unknown_network_may_be_any() -> None:
    assert RULES.judge(item(network_decline_code="57")).rule == "visa_never"


@pytest.mark.parametrize("provider", ["acme", None])
@pytest.mark.parametrize(
    "decline",
    [
        {"advice_code": "do_not_try_again"},
        {"advice_code": "confirm_card_data"},
        {"card_country": "IN"},
        {"decline_code": "stolen_card"},
        {"code": "authentication_required"},
    ],
)
def test_a_rule_or_a_code_of_stripe_says_nothing_of_another_provider(
    provider: str | None, decline: dict[str, Any]
) -> None:
    given = decline if provider is None else decline | {"provider": provider}
    assert RULES.judge(item(**given)).retries


@pytest.mark.parametrize("provider", ["stripe", "acme"])
@pytest.mark.parametrize("reason", DeclineReason)
def test_a_class_that_calls_for_no_retry_gets_none_from_any_provider(
    provider: str, reason: DeclineReason
) -> None:
    allowed = RULES.judge(item(provider=provider, **declined(reason)))
    no_retry = CLASSES[reason] in (
        DeclineClass.SUSPECTED_FRAUD,
        DeclineClass.AUTHENTICATION,
        DeclineClass.DO_NOT_RETRY,
    )
    assert (not allowed.retries) == (no_retry or reason is DeclineReason.INCORRECT_NUMBER)


@pytest.mark.parametrize(
    ("decline", "cap"),
    [
        ({"network": "visa"}, 15),
        ({"network": "mastercard"}, 10),
        ({"network": "amex"}, 10),
        ({}, 10),
        ({"provider": "acme", "network": "visa"}, 15),
        ({"provider": "acme", "network": "amex"}, 10),
        ({"provider": "acme"}, 10),
        ({"provider": "stripe", "network": "visa"}, 15),
        ({"provider": "stripe", "network": "mastercard"}, 10),
        ({"provider": "stripe", "network": "amex"}, 8),
        ({"provider": "stripe"}, 8),
    ],
)
def test_attempts_left_are_counted_down_to_the_cap(decline: dict[str, Any], cap: int) -> None:
    for failed in (0, cap - 1, cap, 20):
        allowed = RULES.judge(item({"card_failures_30d": failed}, **decline))
        assert allowed.attempts_left == max(0, cap - failed)
        assert bool(allowed.retries) == (failed < cap)


def test_the_longest_wait_counts() -> None:
    both = item(
        network="mastercard", network_advice_code="24", **declined(DeclineReason.LIMIT_EXCEEDED)
    )
    assert RULES.judge(both).rule == "velocity_wait"
    assert min(delay for _, delay in RULES.judge(both).retries) == 86_400


def test_payday_is_the_next_one_and_never_now() -> None:
    payday = Retry(days_of_month=(1, 15), hour=9)
    just_then = datetime(2025, 6, 15, 9, tzinfo=UTC)
    assert payday.delay_from(just_then - timedelta(minutes=1)) == 60
    assert just_then + timedelta(seconds=payday.delay_from(just_then)) == datetime(
        2025, 7, 1, 9, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("reattempts_max = 15", "reattempts_max = 35"), "caps.0.reattempts_max"),
        (('instead = "authenticate"', 'instead = "pray"'), "no such strategy"),
        (("delay_s = 3600", "delay_s = -1"), "retries.retry_in_1h"),
        (("when = {}", 'when = { network = ["AMEX"] }'), "last cap"),
        (("mark = ", "mark == "), "not TOML"),
    ],
)
def test_a_wrong_rule_is_refused_in_one_sentence(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(DEFAULT_RULES.read_text().replace(*change))
    with pytest.raises(UserError, match=says):
        load(path)


def test_missing_rules_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be read"):
        load(tmp_path / "none.toml")


def test_every_rule_has_a_source_and_a_name_of_its_own() -> None:
    rules = [*RULES.caps, *RULES.never, *RULES.wait]
    assert len({rule.id for rule in rules}) == len(rules)
    assert all(rule.source for rule in rules)
