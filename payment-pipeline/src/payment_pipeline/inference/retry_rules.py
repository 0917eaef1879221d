"""The retry rules of the card networks and the provider for failed payments.

This module reads, checks and applies the rules file (`retry_rules.toml`, or the file in the setting
`retry_rules`). If the card's network is unknown, the prohibitions and waits of every network hold,
and the provider's cap, or else the lowest one: a missing retry costs less than a network's fee.
Any other unknown input meets no condition.
"""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.features import RECENT_MAX
from payment_pipeline.domain.scoring import ScoreItem

DEFAULT_RULES: Final = Path(__file__).with_name("retry_rules.toml")

Condition = Literal[
    "provider",
    "decline_reason",
    "decline_class",
    "code",
    "decline_code",
    "advice_code",
    "network_decline_code",
    "network_advice_code",
    "network",
    "card_country",
    "funding",
]
Upper = Annotated[str, Field(pattern=r"^[A-Z0-9_]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Rule(_Part):
    id: str
    source: str
    mark: Literal["D", "T"]
    """D: documented by the network or the provider; T: third-party, to be checked."""
    when: Mapping[Condition, frozenset[Upper]]
    """The conditions. All must hold. An unknown input meets no condition."""

    def holds(self, inputs: Mapping[str, str]) -> bool:
        """Whether every condition is met. The `inputs` are in upper case."""
        return all(inputs.get(name) in codes for name, codes in self.when.items())

    def may_hold(self, inputs: Mapping[str, str]) -> bool:
        """Whether every condition may be met: an unknown network matches every network."""
        return all(
            inputs[name] in codes if name in inputs else name == "network"
            for name, codes in self.when.items()
        )


class Never(_Rule):
    """A rule that forbids retries of this card, and the strategy to advise instead."""

    instead: str


class Wait(_Rule):
    """A rule that sets a minimum wait before a retry."""

    wait_s: Annotated[int, Field(ge=0)]


class Cap(_Rule):
    """The highest number of re-attempts in 30 days, below the number that the features remember."""

    reattempts_max: Annotated[int, Field(ge=0, lt=RECENT_MAX)]


class Retry(_Part):
    """When a strategy charges again: after a delay, or on the next of certain days of a month."""

    delay_s: Annotated[int, Field(ge=60)] | None = None
    days_of_month: tuple[Annotated[int, Field(ge=1, le=28)], ...] = ()
    hour: Annotated[int, Field(ge=0, le=23)] = 9

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.delay_s is None) == (not self.days_of_month):
            raise ValueError("a retry has either delay_s or days_of_month")
        return self

    def delay_from(self, at: datetime) -> int:
        """Seconds from a failure to the retry."""
        if self.delay_s is not None:
            return self.delay_s
        then = at.replace(hour=self.hour, minute=0, second=0, microsecond=0)
        while then <= at or then.day not in self.days_of_month:
            then += timedelta(days=1)
        return int((then - at).total_seconds())


class RetryRules(_Part):
    """The content of a rules file."""

    success_probability_min: Annotated[float, Field(ge=0, le=1)]
    discount_per_day: Annotated[float, Field(ge=0, lt=1)]
    ask: tuple[str, ...]
    give_up: str
    retries: Annotated[Mapping[str, Retry], Field(min_length=1)]
    caps: tuple[Cap, ...]
    never: tuple[Never, ...]
    wait: tuple[Wait, ...]

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        others = {*self.ask, self.give_up}
        unknown = {rule.instead for rule in self.never} - others
        if unknown:
            raise ValueError(f"no such strategy to do instead: {', '.join(sorted(unknown))}")
        if others & set(self.retries):
            raise ValueError("a strategy is either a retry, or asks, or gives up")
        if not self.caps or self.caps[-1].when:
            raise ValueError("the last cap must hold for every network: when = {}")
        return self

    def judge(self, item: ScoreItem) -> "Allowance":
        """Return the strategies that are allowed after the failure in `item`."""
        inputs = {name: value.upper() for name, value in (item.decline or {}).items()}
        cap = next(rule for rule in self.caps if rule.holds(inputs))
        left = max(0, cap.reattempts_max - reattempts(item))
        for rule in self.never:
            if rule.may_hold(inputs):
                return Allowance((), rule.instead, 0, rule.id)
        if left == 0:
            return Allowance((), self.ask[0] if self.ask else self.give_up, 0, cap.id)
        wait = max(
            (rule for rule in self.wait if rule.may_hold(inputs)),
            key=lambda rule: rule.wait_s,
            default=None,
        )
        delays = {name: retry.delay_from(item.occurred_at) for name, retry in self.retries.items()}
        if wait is None:
            return Allowance(tuple(delays.items()), None, left, None)
        later = tuple(one for one in delays.items() if one[1] >= wait.wait_s)
        return Allowance(later, None if later else self.give_up, left, wait.id)


class Allowance(NamedTuple):
    """The strategies that the rules allow for one failure."""

    retries: Sequence[tuple[str, int]]
    """Allowed retries with their delay in seconds. Empty if a rule forbids all retries."""
    instead: str | None
    """The strategy to advise if there are no retries."""
    attempts_left: int
    """How many re-attempts the network still allows in its window."""
    rule: str | None
    """The id of the rule that forbade or delayed retries."""


def reattempts(item: ScoreItem) -> int:
    """Count the re-attempts in the last 30 days, this failure included. The first attempt is none.

    The count is the card's earlier failures, as the networks count them. If the card is unknown, it
    is the customer's earlier failures. It is at least the provider's count for this invoice.
    """
    failures = item.features.get(
        "card_failures_30d", item.features.get("customer_failures_30d", 0.0)
    )
    counted = (item.decline or {}).get("attempt_count", "")
    of_invoice = int(counted) - 1 if counted.isdecimal() else 0
    return max(_whole(failures), of_invoice)


def _whole(count: float) -> int:
    """Return a count as an integer. An invalid count becomes the maximum, so caps hold."""
    return int(count) if 0 <= count <= RECENT_MAX else RECENT_MAX


def load(path: Path) -> RetryRules:
    """Read and check a rules file.

    Raises:
        UserError: the file can't be read, or a rule is wrong. The message names the rule.
    """
    try:
        return RetryRules.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise UserError(f"The retry rules {path} can't be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"The retry rules {path} are not TOML: {error}.") from error
    except ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"The retry rules {path} are wrong at {where}: {first['msg']}.") from wrong
