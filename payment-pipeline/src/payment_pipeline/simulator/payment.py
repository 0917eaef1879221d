"""A simulated payment in its current state."""

from dataclasses import dataclass

from .actors import Customer
from .shapes import Json
from .simulated_declines import Decline


@dataclass(slots=True)
class Payment:
    """A payment in its current state."""

    customer: Customer
    intent: Json
    charge: Json | None = None
    """The successful charge."""
    decline: Decline | None = None
    """The decline of the last attempt."""

    @property
    def successful_charge(self) -> Json:
        """The charge of a payment that was authorized."""
        if self.charge is None:
            raise ValueError(f"The payment {self.intent['id']} has no successful charge.")
        return self.charge
