"""What does one line of `make bench` hold: a value beside the peer or limit of the same run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured value; an element of `var/bench.json`."""

    name: str
    value: float
    unit: str
    reference: str
    """The peer or the limit, in words."""
    reference_value: float
    ratio: float
    """`value / reference_value`."""
    target: float
    """What the ratio (for a limit: the value) is held against."""
    met: bool
