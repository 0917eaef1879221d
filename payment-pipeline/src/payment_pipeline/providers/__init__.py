"""One module a provider: how it signs, how its body reads, how it becomes a `PaymentEvent`.

The folder is the registry: a module `providers/<name>.py` (or package) that has a `PROVIDER` is a
provider, and `/webhooks/<name>` exists. Nothing here does I/O or reads a clock.
"""

import pkgutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import NamedTuple, Protocol

from payment_pipeline.domain import headers as names
from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.domain.headers import Headers
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.domain.topics import PIPELINE, raw


class Refusal(StrEnum):
    """Why a webhook's signature was not accepted: the typed part of a 400 or 401."""

    MISSING = "signature_missing"
    MALFORMED = "signature_malformed"
    MISMATCH = "signature_mismatch"
    TOO_OLD = "timestamp_too_old"
    TOO_NEW = "timestamp_in_future"


class Verified(NamedTuple):
    """The body was signed with one of the live secrets, near now."""

    secret_index: int
    """Which of the given secrets matched."""


class Envelope(NamedTuple):
    """What the gateway needs of a verified body to route it, and not a field more."""

    event_id: str
    event_type: str
    resource: str
    """One of the provider's `resources`: names the topic."""
    key: str
    """The payment's id where the body names one, else the object's: orders one payment's events."""
    occurred_at: datetime | None
    account: str | None


class Unparseable(NamedTuple):
    """Signed, but not an event: goes to `webhooks.dlq` with this reason."""

    reason: str


class Unsupported(NamedTuple):
    """Signed and understood, but of a class that carries no snapshot (a thin event)."""

    event_class: str
    event_id: str | None


class ControlTotal(NamedTuple):
    """A body's amount, read apart from the normalizer, so that the ledger can check it."""

    currency: str
    amount_minor: int


class Context(NamedTuple):
    """What `normalize` may use beside the event."""

    pseudonym_key: bytes
    """Keys the hash that stands for a card's fingerprint (HMAC-SHA256)."""
    normalizer_version: str


class Provider(Protocol):
    """What a provider module's `PROVIDER` must offer. Pure: same input, same answer, no raise."""

    name: str
    """As in `/webhooks/<name>` and `webhooks.<name>.<resource>`."""
    signature_header: str
    """The HTTP header of the signature, lower case."""
    resources: Sequence[str]
    """The closed list of raw topics' last parts, `other` included."""

    def new_secret(self, random: str) -> str:
        """A new signing secret in the provider's form.

        `random` is at least 32 random characters of `A-Z a-z 0-9 _ -`. The secret holds all of
        them, and neither a comma nor white space, which separate secrets in a file.
        """
        ...

    def is_secret(self, text: str) -> bool:
        """False for a placeholder that was never filled in, such as a prefix alone.

        Anybody knows a placeholder, so it must verify nothing.
        """
        ...

    def verify(
        self,
        body: bytes,
        signature: str | None,
        secrets: Sequence[str],
        now_s: float,
        tolerance_s: float,
    ) -> Verified | Refusal:
        """Check the raw bytes against every live secret, and the time of signing against now.

        `signature` is the `signature_header`'s value, `None` when the request has none.
        """
        ...

    def read(self, body: bytes) -> Envelope | Unparseable | Unsupported:
        """Read a verified body just far enough to route it."""
        ...

    def normalize(self, raw: RawEvent, context: Context) -> PaymentEvent | Rejected | Unmodelled:
        """Turn a raw record into one `PaymentEvent`, or say why not."""
        ...

    def control_total(self, body: bytes) -> ControlTotal | None:
        """The amount and the currency that `normalize` must arrive at, by the shortest reading."""
        ...


@cache
def providers() -> Mapping[str, Provider]:
    """Every provider found in this folder, by name."""
    modules = (
        import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    )
    return {
        module.PROVIDER.name: module.PROVIDER for module in modules if hasattr(module, "PROVIDER")
    }


def topics() -> tuple[str, ...]:
    """Every topic that must exist: the pipeline's own and each provider's raw ones."""
    found = providers().values()
    return (*PIPELINE, *(raw(each.name, resource) for each in found for resource in each.resources))


def source(provider: str, account: str | None = None) -> str:
    """Where a provider's events come in: CloudEvents' `source`, and the webhook's path."""
    return f"/webhooks/{provider}" if account is None else f"/webhooks/{provider}/{account}"


def event_headers(provider: str, event: Envelope) -> Headers:
    """CloudEvents' attributes of a record; each value has passed the provider's closed format."""
    headers: Headers = (
        (names.CE_SPECVERSION, b"1.0"),
        (names.CE_ID, event.event_id.encode()),
        (names.CE_TYPE, event.event_type.encode()),
        (names.CE_SOURCE, source(provider, event.account).encode()),
    )
    if event.occurred_at is not None:
        headers += ((names.CE_TIME, event.occurred_at.isoformat().encode()),)
    return headers
