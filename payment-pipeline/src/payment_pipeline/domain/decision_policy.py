"""The costs of a decision about a payment, and the action with the smallest expected loss.

All money is in minor units of one currency, as integers. A probability enters as parts per million,
so that a decision and its expected loss are the same on every machine and in every replay.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from .currency import CurrencyCode
from .failures import UserError

PPM: Final = 1_000_000
BASIS_POINTS: Final = 10_000
VERSION_CHARS: Final = 12
AMOUNT_MAX: Final = 10**12

Minor = Annotated[int, Strict(), Field(ge=0, le=AMOUNT_MAX)]


class Action(StrEnum):
    """What to do with a payment."""

    ACCEPT = "accept"
    REVIEW = "review"
    DECLINE = "decline"


class Judgement(NamedTuple):
    """The action for one payment, by its expected loss."""

    action: Action
    expected_loss_minor: int
    """Rounded half up to the minor unit."""
    without_review: Action
    """The best action if nobody has time for a review."""
    saving_ppm: int
    """What a review saves against `without_review`, in millionths of the minor unit; 0 or more."""


class CurrencyCosts(BaseModel):
    """The costs of payments in one currency, in its minor unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exponent: Annotated[int, Strict(), Field(ge=0, le=4)]
    """major = minor / 10^exponent, as the provider counts. Payments that count otherwise are not
    judged."""
    review_cost_minor: Minor
    dispute_fee_minor: Minor
    """Lost with each accepted fraud, besides the amount."""
    lost_margin_bp: Annotated[int, Strict(), Field(ge=0, le=BASIS_POINTS)]
    """Share of the amount that a declined honest payment would have earned, in basis points."""
    goodwill_minor: Minor
    """Lost with each declined honest payment, besides the margin."""
    reviews_per_day_max: Annotated[int, Strict(), Field(ge=0)]

    def missed_fraud_minor(self, amount_minor: int) -> int:
        """The loss of an accepted fraud."""
        return amount_minor + self.dispute_fee_minor

    def false_decline_minor(self, amount_minor: int) -> int:
        """The loss of a declined honest payment; the margin is rounded down."""
        return amount_minor * self.lost_margin_bp // BASIS_POINTS + self.goodwill_minor

    def judge(self, score: float, amount_minor: int) -> Judgement:
        """Choose the action with the smallest expected loss. Of equal ones, the mildest counts.

        A review is taken to find the truth, and costs the reviewer's time.

        Args:
            score: the calibrated probability of fraud, 0 to 1.
            amount_minor: the amount of the payment, more than 0.
        """
        fraud_ppm = round(score * PPM)
        expected = {
            Action.ACCEPT: fraud_ppm * self.missed_fraud_minor(amount_minor),
            Action.REVIEW: PPM * self.review_cost_minor,
            Action.DECLINE: (PPM - fraud_ppm) * self.false_decline_minor(amount_minor),
        }
        unreviewed = min((Action.ACCEPT, Action.DECLINE), key=expected.__getitem__)
        saving = expected[unreviewed] - expected[Action.REVIEW]
        action = min(expected, key=expected.__getitem__)
        loss = (expected[action] + PPM // 2) // PPM
        return Judgement(action, loss, unreviewed, max(0, saving))

    def within_budget(self, day: Sequence[Judgement]) -> list[Action]:
        """The actions of one day, in the order of its payments.

        The reviews with the highest saving come first. Of equal ones, the earlier payment counts.
        """
        wanted = [place for place, one in enumerate(day) if one.action is Action.REVIEW]
        wanted.sort(key=lambda place: -day[place].saving_ppm)
        unread = set(wanted[self.reviews_per_day_max :])
        return [
            one.without_review if place in unread else one.action for place, one in enumerate(day)
        ]

    def loss_minor(self, action: Action, amount_minor: int, *, is_fraud: bool) -> int:
        """What an action cost, once it is known whether the payment was fraud."""
        if action is Action.REVIEW:
            return self.review_cost_minor
        if action is Action.ACCEPT:
            return self.missed_fraud_minor(amount_minor) if is_fraud else 0
        return 0 if is_fraud else self.false_decline_minor(amount_minor)


class DecisionPolicy(NamedTuple):
    """The content of a policy file."""

    version: str
    """The first characters of the file's SHA-256, in hex."""
    currencies: Mapping[str, CurrencyCosts]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    currencies: Annotated[dict[CurrencyCode, CurrencyCosts], Field(min_length=1)]


def parse(content: bytes, name: str) -> DecisionPolicy:
    """Read a policy file.

    Args:
        content: the bytes of the file.
        name: the file, for the message of an error.

    Raises:
        UserError: the content is no policy. The message says where it is wrong.
    """
    try:
        read = _File.model_validate(tomllib.loads(content.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"The policy {name} is not TOML: {error}.") from error
    except ValidationError as wrong:
        raise UserError(f"The policy {name} is wrong at {_places(wrong)}.") from wrong
    return DecisionPolicy(sha256(content).hexdigest()[:VERSION_CHARS], read.currencies)


def _places(wrong: ValidationError) -> str:
    each: Iterable[str] = (
        f"{'.'.join(map(str, one['loc'])) or 'the top'}: {one['msg']}" for one in wrong.errors()
    )
    return "; ".join(each)
