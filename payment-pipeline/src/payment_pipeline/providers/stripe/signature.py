"""Verifies the signature of a Stripe webhook, and its age.

The header is `Stripe-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>…]`. Each `v1` is the
HMAC-SHA256 of `"<t>." + raw body`, keyed with the whole `whsec_…` string. While a merchant rolls a
secret, Stripe signs with the old and the new secret, so any `v1` may match any live secret. Other
schemes, such as the `v0` of test mode, are ignored.

Sources: Stripe, "Verify webhook signatures manually", and `WebhookSignature` of stripe-python.
Unlike this module, stripe-python accepts a time in the future and any number of entries.
"""

import hmac
import re
from collections.abc import Sequence
from typing import Final

from payment_pipeline.providers import Refusal, Verified

ENTRIES_MAX: Final = 16
"""The maximum number of `key=value` pairs. Stripe sends two to four; 10,000 would cost 6 ms."""

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - a prefix that is no secret
"""The beginning of each signing secret of Stripe."""

# Without sign, space or leading zero, so that each time has exactly one spelling.
_TIME: Final = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


def verify(
    body: bytes, header: str | None, secrets: Sequence[str], now_s: float, tolerance_s: float
) -> Verified | Refusal:
    """Checks the raw body against each live secret. No input raises.

    The signing time is checked after the signature, so a sender without a secret learns nothing
    about the gateway's clock.
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
    """The signing time and the `v1` signatures; `None` for a header that Stripe never sends."""
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
        if not secret:  # with an empty key, anyone could sign
            continue
        expected = hmac.digest(secret.encode(), signed, "sha256").hex().encode("ascii")
        for given in signatures:
            if hmac.compare_digest(expected, given):
                return index
    return None
