"""The seeded source of all random choices: the same seed makes the same traffic."""

from collections.abc import Mapping
from itertools import accumulate
from random import Random
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LETTERS: Final = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
"""The letter of each byte: one look-up for a whole text, because a third of the time goes here."""


class Weighted(Generic[T]):
    """Values with weights. The weights are summed once, so that a pick costs one look-up."""

    __slots__ = ("cumulated", "values")

    def __init__(self, weights: Mapping[T, float]) -> None:
        self.values = tuple(weights)
        self.cumulated = tuple(accumulate(weights.values()))


class Dice(Random):
    """A seeded random generator. Nothing else in the simulated world is random."""

    def chance(self, probability: float) -> bool:
        """Return true with this probability."""
        return self.random() < probability

    def pick(self, of: Weighted[T]) -> T:
        """Pick one of the values, in proportion to the weights."""
        return self.choices(of.values, cum_weights=of.cumulated)[0]

    def text(self, length: int) -> str:
        """Draw a text of letters and digits, like those in Stripe's ids."""
        return self.randbytes(length).translate(_LETTERS).decode("ascii")

    def id(self, prefix: str) -> str:
        """Draw a practically unique id like Stripe's: prefix, `_` and 24 letters and digits."""
        return f"{prefix}_1{self.text(23)}"

    def delay_s(self, mean_s: float) -> float:
        """Draw a waiting time from an exponential distribution: mostly short, sometimes long."""
        return self.expovariate(1.0 / mean_s)
