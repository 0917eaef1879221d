"""One line of `make bench`: a value and its peer or limit, measured in the same run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured value, an element of `var/bench.json`."""

    name: str
    value: float
    unit: str
    reference: str
    """Name of the peer or the limit."""
    reference_value: float
    ratio: float
    """`value / reference_value`."""
    target: float
    """Target for the ratio, or for the value if the reference is a limit."""
    met: bool
