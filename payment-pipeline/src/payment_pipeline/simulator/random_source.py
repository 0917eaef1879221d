"""Where does chance come from? One seeded source, so that the same seed makes the same traffic."""

from collections.abc import Mapping
from itertools import accumulate
from random import Random
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Weighted(Generic[T]):
    """Values and their weights, summed once, so that a pick costs one look-up."""

    __slots__ = ("cumulated", "values")

    def __init__(self, weights: Mapping[T, float]) -> None:
        self.values = tuple(weights)
        self.cumulated = tuple(accumulate(weights.values()))


class Dice(Random):
    """A seeded source of chance. Nothing else in the simulated world is random."""

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def pick(self, of: Weighted[T]) -> T:
        """One of the values, as often as its weight says."""
        return self.choices(of.values, cum_weights=of.cumulated)[0]

    def text(self, length: int) -> str:
        """Letters and digits, as Stripe's ids are made of."""
        return "".join(self.choices(_ALPHABET, k=length))

    def id(self, prefix: str) -> str:
        """An id as Stripe's are: `ch_` and 24 letters and digits, unique for all that matters."""
        return f"{prefix}_1{self.text(23)}"

    def delay_s(self, mean_s: float) -> float:
        """A waiting time: exponential, so mostly short and sometimes long."""
        return self.expovariate(1.0 / mean_s)
