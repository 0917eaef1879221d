"""Fixture pairs: bodies of webhooks with their signatures and their expected events.

`<provider>/<name>.body.json` is a body, byte for byte as the provider sent it. Next to it,
`<name>.expected.json` has the signature and the event that the pipeline must produce. To add a
pair, write the body, then run `python tests/support/pairs.py stripe <name>`. The command signs the
body and writes the other file. Check that file before you commit it: it shows what the pipeline
does now, which may be wrong. For another provider, give the signature as the third argument, made
with `SECRET` as the provider documents.
"""

import hmac
import json
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from payment_pipeline.domain.events import PAYMENT_EVENT, PaymentEvent
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.domain.raw import Coordinates, RawEvent
from payment_pipeline.providers import Context, Envelope, providers

FOLDER = Path(__file__).parents[1] / "providers"
SECRET = "whsec_fixture"
SIGNED_AT_S = 1_750_000_000
CONTEXT = Context(pseudonym_key=b"fixture", normalizer_version="fixture")


class Pair(NamedTuple):
    provider: str
    name: str
    body: bytes
    signature: str
    secret: str
    signed_at_s: int
    event: dict[str, Any]


def pairs() -> list[Pair]:
    return [_read(path) for path in sorted(FOLDER.glob("*/*.expected.json"))]


def raw_event(body: bytes, provider: str = "stripe") -> RawEvent:
    """Return a record of a raw topic, as the gateway writes it."""
    envelope = providers()[provider].read(body)
    return RawEvent(
        provider=provider,
        coordinates=Coordinates(topic=f"webhooks.{provider}.other", partition=0, offset=7),
        body=body,
        event_id=None,
        body_sha256=sha256(body).hexdigest(),
        received_at=datetime.fromtimestamp(SIGNED_AT_S, UTC),
        verdict="verified:fixture",
        traceparent=None,
        identity_sha256=envelope.identity_sha256 if isinstance(envelope, Envelope) else None,
    )


def normalize(body: bytes, provider: str = "stripe") -> PaymentEvent | Rejected | Unmodelled:
    return providers()[provider].normalize(raw_event(body, provider), CONTEXT)


def as_json(event: PaymentEvent) -> dict[str, Any]:
    found: dict[str, Any] = PAYMENT_EVENT.dump_python(event, mode="json", exclude_none=True)
    return found


def _read(path: Path) -> Pair:
    name = path.name.removesuffix(".expected.json")
    body = path.with_name(f"{name}.body.json").read_bytes()
    return Pair(path.parent.name, name, body, **json.loads(path.read_text()))


def _write(provider: str, name: str, signature: str | None = None) -> None:
    path = FOLDER / provider / f"{name}.body.json"
    body = path.read_bytes()
    event = normalize(body, provider)
    if isinstance(event, Rejected | Unmodelled):
        sys.exit(f"{path} is not the body of a modelled event: {event}. Correct the body.")
    expected = {
        "secret": SECRET,
        "signed_at_s": SIGNED_AT_S,
        "signature": signature or _stripe_signature(body),
        "event": as_json(event),
    }
    path.with_name(f"{name}.expected.json").write_text(json.dumps(expected, indent=2) + "\n")


def _stripe_signature(body: bytes) -> str:
    signed = f"{SIGNED_AT_S}.".encode() + body
    return f"t={SIGNED_AT_S},v1={hmac.new(SECRET.encode(), signed, sha256).hexdigest()}"


if __name__ == "__main__":
    _write(*sys.argv[1:])
