"""The provider Stripe.

The gateway uses `signature` and `envelope`, the normalizer uses `normalize`. Each module names the
sources of its facts.
"""

from collections.abc import Sequence
from typing import Final

from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.providers import (
    Context,
    ControlTotal,
    Envelope,
    Provider,
    Refusal,
    Unparseable,
    Unsupported,
    Verified,
)

from . import envelope, normalize, signature


class Stripe:
    """Stripe as a provider. `providers.Provider` describes the methods."""

    name = "stripe"
    signature_header = "stripe-signature"
    resources: Sequence[str] = envelope.RESOURCES

    def new_secret(self, random: str) -> str:
        """A secret in the form of Stripe's dashboard."""
        return signature.SECRET_PREFIX + random

    def is_secret(self, text: str) -> bool:
        """False for an empty text and for the prefix alone."""
        return text not in ("", signature.SECRET_PREFIX)

    def verify(
        self,
        body: bytes,
        signature_header: str | None,
        secrets: Sequence[str],
        now_s: float,
        tolerance_s: float,
    ) -> Verified | Refusal:
        """Checks the `Stripe-Signature` header."""
        return signature.verify(body, signature_header, secrets, now_s, tolerance_s)

    def read(self, body: bytes) -> Envelope | Unparseable | Unsupported:
        """Reads the routing fields of a snapshot event, and recognizes a thin event."""
        return envelope.read(body)

    def normalize(self, raw: RawEvent, context: Context) -> PaymentEvent | Rejected | Unmodelled:
        """Makes a `PaymentEvent` of an event of any API version since 2020-08-27."""
        return normalize.normalize(raw, context)

    def control_total(self, body: bytes) -> ControlTotal | None:
        """The amount of the kinds that have a control total; `None` for the others."""
        return envelope.control_total(body)


PROVIDER: Final[Provider] = Stripe()
