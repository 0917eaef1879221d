"""What do the card networks and the provider allow to be done about a failed payment?

The rules are a file (`retry_rules.toml`, or the one that the setting `retry_rules` names); here
they are read, checked and applied. Where the card's network is unknown every network's prohibitions
and waits hold, and the provider's own cap, which is the lowest: too careful costs a retry, too bold
costs a fee. Any other input that is unknown meets no condition.
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
    """All must hold; an input that is unknown doesn't."""

    def holds(self, inputs: Mapping[str, str]) -> bool:
        """Whether every condition is met; `inputs` are in upper case."""
        return all(inputs.get(name) in codes for name, codes in self.when.items())

    def may_hold(self, inputs: Mapping[str, str]) -> bool:
        """As `holds`, but an unknown network may be any."""
        return all(
            inputs[name] in codes if name in inputs else name == "network"
            for name, codes in self.when.items()
        )


class Never(_Rule):
    """No retry of this card; what to do instead."""

    instead: str


class Wait(_Rule):
    """A retry not before this long."""

    wait_s: Annotated[int, Field(ge=0)]


class Cap(_Rule):
    """How many re-attempts are allowed in 30 days; counted up to what a state remembers."""

    reattempts_max: Annotated[int, Field(ge=0, lt=RECENT_MAX)]


class Retry(_Part):
    """When a strategy charges again: after a delay, or on the next of some days of a month."""

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
    """The whole file."""

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
        """What is allowed after the failure that `item` tells of."""
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
    """What the rules leave of the strategies for one failure."""

    retries: Sequence[tuple[str, int]]
    """Allowed retries with their delay in seconds; empty where a rule ended it."""
    instead: str | None
    """What is advised where there are no retries."""
    attempts_left: int
    """Re-attempts that the network still allows in its window."""
    rule: str | None
    """Which rule forbade or limited."""


def reattempts(item: ScoreItem) -> int:
    """Re-attempts in the last 30 days, this failure among them: the first attempt is not one.

    The card's failures before this one are counted, which is what the networks look at; where the
    card is unknown, the customer's; and never fewer than the provider says of this invoice.
    """
    failures = item.features.get(
        "card_failures_30d", item.features.get("customer_failures_30d", 0.0)
    )
    counted = (item.decline or {}).get("attempt_count", "")
    of_invoice = int(counted) - 1 if counted.isdecimal() else 0
    return max(_whole(failures), of_invoice)


def _whole(count: float) -> int:
    """A count as a number; what is no count is taken as the worst, so that no cap is broken."""
    return int(count) if 0 <= count <= RECENT_MAX else RECENT_MAX


def load(path: Path) -> RetryRules:
    """Read and check a rules file.

    Raises:
        UserError: it can't be read, or a rule is wrong; says which and why.
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
