"""Declines of honest customers in the simulated year, and the success of retries."""

from datetime import timedelta
from typing import Final

from numpy.random import Generator

from payment_pipeline.domain.declines import classified
from payment_pipeline.domain.event_parts import Decline
from payment_pipeline.providers.stripe.decline_codes import REASONS

from .book import HOUR_S, START
from .people import Card, pick

CAUSES: Final = {
    "insufficient_funds": 0.44,
    "do_not_honor": 0.17,
    "issuer_not_available": 0.08,
    "processing_error": 0.06,
    "try_again_later": 0.05,
    "card_velocity_exceeded": 0.05,
    "expired_card": 0.08,
    "lost_card": 0.04,
    "authentication_required": 0.03,
}
NEEDS_ANOTHER_CARD: Final = frozenset({"expired_card", "lost_card"})
TRANSIENT: Final = frozenset({"issuer_not_available", "processing_error", "try_again_later"})
PAYDAYS: Final = (1, 2, 15, 16)
RETRY_DELAYS_H: Final = (1.0, 24.0, 72.0, 120.0, 240.0)
"""Merchants choose a delay at random, payday included, so the models can learn what works."""
_VISA: Final = {
    "insufficient_funds": "51",
    "do_not_honor": "05",
    "issuer_not_available": "91",
    "expired_card": "54",
    "lost_card": "41",
    "card_velocity_exceeded": "65",
    "authentication_required": "1A",
}
_MASTERCARD_ADVICE: Final = {
    "insufficient_funds": ("02", "24", "25", "26", "27"),
    "expired_card": ("01",),
    "lost_card": ("03",),
    "do_not_honor": ("02", "21"),
}
_STRIPE_ADVICE: Final = {
    "expired_card": "confirm_card_data",
    "lost_card": "do_not_try_again",
    "insufficient_funds": "try_again_later",
}


def draw_cause(random: Generator) -> str:
    """Draw the cause of an honest customer's decline."""
    return pick(random, tuple(CAUSES), tuple(CAUSES.values()))


def decline(random: Generator, cause: str, card: Card) -> Decline:
    """Return the codes of the provider and the network for a cause."""
    mastercard = card.network == "mastercard" and cause in _MASTERCARD_ADVICE
    return Decline(
        **classified(REASONS[cause]),
        code="expired_card" if cause == "expired_card" else "card_declined",
        decline_code=cause,
        advice_code=_STRIPE_ADVICE.get(cause),
        network_decline_code=_VISA.get(cause) if card.network == "visa" else None,
        network_advice_code=pick(random, _MASTERCARD_ADVICE[cause]) if mastercard else None,
    )


def is_payday(at_s: float) -> bool:
    """Whether the day is a payday (the 1st or the 15th) or the day after."""
    return (START + timedelta(seconds=at_s)).day in PAYDAYS


def recovery_probability(
    cause: str, delay_h: float, at_s: float, tries: int, money: float
) -> float:
    """How likely the same card works `delay_h` hours later; `money` is the holder's reliability."""
    waited = min(1.0, delay_h / 120.0)
    if cause == "insufficient_funds":
        base = (0.06 + 0.22 * waited + (0.45 if is_payday(at_s) else 0.0)) * money
    elif cause in TRANSIENT:
        base = 0.66 if delay_h < 12 else 0.80
    elif cause == "card_velocity_exceeded":
        base = 0.06 if delay_h < 12 else 0.62
    elif cause == "do_not_honor":
        base = (0.08 + 0.26 * waited) * money
    elif cause == "expired_card":
        base = 0.02
    else:
        base = 0.0
    return base * 0.85**tries


def retry_delay_s(random: Generator, at_s: float) -> float:
    """How long a merchant waits before trying the card again."""
    choice = int(random.integers(len(RETRY_DELAYS_H) + 1))
    if choice == len(RETRY_DELAYS_H):
        return _seconds_to_payday(at_s) + float(random.uniform(0, 6)) * HOUR_S
    return RETRY_DELAYS_H[choice] * HOUR_S * float(random.uniform(0.95, 1.1))


def _seconds_to_payday(at_s: float) -> float:
    """To nine in the morning of the next 1st or 15th."""
    now = START + timedelta(seconds=at_s)
    day = now.replace(hour=9, minute=0, second=0, microsecond=0)
    while day <= now or day.day not in (1, 15):
        day += timedelta(days=1)
    return (day - now).total_seconds()
