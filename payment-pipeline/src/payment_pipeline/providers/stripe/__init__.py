"""Stripe: how its webhooks are signed, read and turned into `PaymentEvent`s.

A package, since Stripe is big: `signature` and `envelope` are the gateway's half, `normalize` the
normalizer's. Facts and their sources are in each module.
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
    """The parts put together; see `providers.Provider` for what each method promises."""

    name = "stripe"
    signature_header = "stripe-signature"
    resources: Sequence[str] = envelope.RESOURCES

    def new_secret(self, random: str) -> str:
        """A secret as Stripe's dashboard shows it."""
        return signature.SECRET_PREFIX + random

    def is_secret(self, text: str) -> bool:
        """False for nothing, and for the bare prefix."""
        return text not in ("", signature.SECRET_PREFIX)

    def verify(
        self,
        body: bytes,
        signature_header: str | None,
        secrets: Sequence[str],
        now_s: float,
        tolerance_s: float,
    ) -> Verified | Refusal:
        """Check the `Stripe-Signature` header."""
        return signature.verify(body, signature_header, secrets, now_s, tolerance_s)

    def read(self, body: bytes) -> Envelope | Unparseable | Unsupported:
        """Route a snapshot event; recognise a thin one."""
        return envelope.read(body)

    def normalize(self, raw: RawEvent, context: Context) -> PaymentEvent | Rejected | Unmodelled:
        """Turn an event of any API version from 2020-08-27 on into a `PaymentEvent`."""
        return normalize.normalize(raw, context)

    def control_total(self, body: bytes) -> ControlTotal | None:
        """The amount of the kinds that have one; `None` for the others."""
        return envelope.control_total(body)


PROVIDER: Final[Provider] = Stripe()
