"""Right and forged Stripe signatures.

`Stripe-Signature: t=<unix time>,v1=<hex>`: HMAC-SHA256 over `<t>.<body>`, keyed with the whole
`whsec_…` string (stripe-python, `WebhookSignature`).
"""

import hmac
from enum import StrEnum
from typing import Final

OUT_OF_TOLERANCE_S: Final = 3600
"""The highest tolerance that the gateway can be configured with."""


class Forgery(StrEnum):
    """One way to make a signature that must be refused."""

    WRONG_SECRET = "wrong_secret"  # noqa: S105 — a name, not a secret
    TAMPERED_BODY = "tampered_body"
    GARBLED = "garbled"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    MISSING = "missing"


def signature(body: bytes, secret: str, at_s: int) -> str:
    """Return the `Stripe-Signature` value for this body at this Unix time."""
    digest = hmac.digest(secret.encode(), b"%d.%b" % (at_s, body), "sha256")
    return f"t={at_s},v1={digest.hex()}"


def forged(forgery: Forgery, body: bytes, secret: str, at_s: int) -> str | None:
    """Return a header value that must be refused, or `None` for a missing header."""
    match forgery:
        case Forgery.WRONG_SECRET:
            return signature(body, f"{secret}x", at_s)
        case Forgery.TAMPERED_BODY:
            return signature(body + b" ", secret, at_s)
        case Forgery.GARBLED:
            return signature(body, secret, at_s).replace("v1=", "v1=zz")
        case Forgery.TOO_OLD:
            return signature(body, secret, at_s - OUT_OF_TOLERANCE_S - 60)
        case Forgery.TOO_NEW:
            return signature(body, secret, at_s + OUT_OF_TOLERANCE_S + 60)
        case Forgery.MISSING:
            return None
