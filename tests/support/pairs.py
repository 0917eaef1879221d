"""What is a fixture pair, and how does one add one?

`<provider>/<name>.body.json` is a body, byte for byte as the provider sent it; beside it
`<name>.expected.json` has the signature and what the pipeline must make of it. After writing a
body, `python tests/providers/pairs.py stripe <name>` signs it and writes the other half; read that
before you commit it: it is what the pipeline does today, and you say whether it is right. Another
provider's signature is given as a third argument, made with `SECRET` by its own documentation.
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
from payment_pipeline.providers import Context, providers

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
    """A record of a raw topic, as the gateway would have written it."""
    return RawEvent(
        provider=provider,
        coordinates=Coordinates(topic=f"webhooks.{provider}.other", partition=0, offset=7),
        body=body,
        event_id=None,
        body_sha256=sha256(body).hexdigest(),
        received_at=datetime.fromtimestamp(SIGNED_AT_S, UTC),
        verdict="verified:fixture",
        traceparent=None,
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
        sys.exit(f"{path} is no fixture of a modelled event: {event}")
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
