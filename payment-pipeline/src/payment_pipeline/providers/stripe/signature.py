"""Did Stripe sign these bytes, just now?

`Stripe-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>…]`: HMAC-SHA256 over `"<t>." + raw body`,
keyed with the whole `whsec_…` string. While a secret is being rolled Stripe signs with both, so any
`v1` may match any live secret; other schemes (`v0`, a test-mode leftover) are ignored.
Source: Stripe, "Verify webhook signatures manually", and stripe-python's `WebhookSignature`, which
unlike this accepts a time in the future and any number of entries.
"""

import hmac
import re
from collections.abc import Sequence
from typing import Final

from payment_pipeline.providers import Refusal, Verified

ENTRIES_MAX: Final = 16
"""`key=value` pairs of a header. Stripe sends two to four; ten thousand would cost 6 ms each."""

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - a prefix that is no secret
"""How each of Stripe's signing secrets begins."""

# To the letter, so that what was signed has one spelling: no sign, space or leading zero.
_TIME: Final = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


def verify(
    body: bytes, header: str | None, secrets: Sequence[str], now_s: float, tolerance_s: float
) -> Verified | Refusal:
    """Check the raw body against every live secret; any input has an answer, none raises.

    The time is judged after the signature: who can't sign learns nothing from the clock.
    """
    if not header:
        return Refusal.MISSING
    parsed = _parse(header)
    if parsed is None:
        return Refusal.MALFORMED
    signed_at, signatures = parsed
    index = _matching(b"%b.%b" % (signed_at, body), signatures, secrets)
    if index is None:
        return Refusal.MISMATCH
    age_s = now_s - int(signed_at)
    if age_s > tolerance_s:
        return Refusal.TOO_OLD
    if age_s < -tolerance_s:
        return Refusal.TOO_NEW
    return Verified(index)


def _parse(header: str) -> tuple[bytes, list[bytes]] | None:
    """The time as it was signed, and the `v1` signatures; `None` for what Stripe never sends."""
    entries = header.split(",", ENTRIES_MAX)
    if len(entries) > ENTRIES_MAX or not header.isascii():
        return None
    signed_at: str | None = None
    signatures: list[bytes] = []
    for entry in entries:
        scheme, _, value = entry.partition("=")
        if scheme == "t":
            if signed_at is not None or not _TIME.fullmatch(value):
                return None
            signed_at = value
        elif scheme == "v1":
            signatures.append(value.encode("ascii"))
    if signed_at is None or not signatures:
        return None
    return signed_at.encode("ascii"), signatures


def _matching(signed: bytes, signatures: list[bytes], secrets: Sequence[str]) -> int | None:
    for index, secret in enumerate(secrets):
        if not secret:  # an empty key would let anybody sign
            continue
        expected = hmac.digest(secret.encode(), signed, "sha256").hex().encode("ascii")
        for given in signatures:
            if hmac.compare_digest(expected, given):
                return index
    return None
