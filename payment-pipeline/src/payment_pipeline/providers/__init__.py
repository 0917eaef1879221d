"""The registry of payment providers, and the protocol of a provider.

The folder is the registry. A module or package `providers/<name>` with a `PROVIDER` is a provider,
and the gateway then serves `/webhooks/<name>`. A provider verifies signatures, reads bodies and
makes `PaymentEvent`s of them. No code here does I/O or reads a clock.
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
    """The reason why a signature was refused: the `code` of the answer 400 or 401."""

    MISSING = "signature_missing"
    MALFORMED = "signature_malformed"
    MISMATCH = "signature_mismatch"
    TOO_OLD = "timestamp_too_old"
    TOO_NEW = "timestamp_in_future"


class Verified(NamedTuple):
    """The body was signed with a live secret, and the signing time is within the tolerance."""

    secret_index: int
    """The position of the matching secret in the given secrets."""


class Envelope(NamedTuple):
    """The fields of a verified body that the gateway needs to route it."""

    event_id: str
    event_type: str
    resource: str
    """One of the provider's `resources`. It selects the raw topic."""
    key: str
    """The id of the payment, or of the object if the body names no payment.

    It is the Kafka key, so the events of one payment stay in order.
    """
    occurred_at: datetime | None
    account: str | None
    identity_sha256: str | None = None
    """Equal for all deliveries of one event, whatever else their bodies say.

    Hexadecimal SHA-256 of what the provider repeats in each of them. Another value under the same
    event id is a conflict. `None`: deliveries are equal byte for byte, so it is the body's hash.
    """


class Unparseable(NamedTuple):
    """A signed body that is no event. It goes to `webhooks.dlq` with this reason."""

    reason: str


class Unsupported(NamedTuple):
    """A signed event of a class that carries no snapshot of its object (a thin event)."""

    event_class: str
    event_id: str | None


class ControlTotal(NamedTuple):
    """The amount of a body, read without the normalizer, so that the ledger can compare them."""

    currency: str
    amount_minor: int


class Context(NamedTuple):
    """The inputs of `normalize` besides the event."""

    pseudonym_key: bytes
    """The key of the HMAC-SHA256 that replaces a card's fingerprint."""
    normalizer_version: str


class Provider(Protocol):
    """The protocol of a module's `PROVIDER`.

    Each method is pure: the same input gives the same result, and no input raises.
    """

    name: str
    """The name in the path `/webhooks/<name>` and in the topics `webhooks.<name>.<resource>`."""
    signature_header: str
    """The HTTP header of the signature, in lower case."""
    resources: Sequence[str]
    """The last parts of the raw topics, as a closed list with `other`."""

    def new_secret(self, random: str) -> str:
        """A new signing secret in the form that the provider uses.

        `random` is at least 32 random characters of `A-Z a-z 0-9 _ -`. The secret holds all of
        them, and neither a comma nor white space, which separate secrets in a file.
        """
        ...

    def is_secret(self, text: str) -> bool:
        """False for an empty text and for a placeholder, such as a prefix alone.

        A placeholder is public knowledge, so no signature made with it may be accepted.
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
        """Checks a body against each live secret, and the signing time against the current time.

        Args:
            body: the raw bytes.
            signature: the value of `signature_header`; `None` if the request has no such header.
            secrets: the live secrets, newest first.
            now_s: the current Unix time.
            tolerance_s: the largest difference between `now_s` and the signing time.
        """
        ...

    def read(self, body: bytes) -> Envelope | Unparseable | Unsupported:
        """Reads the fields of a verified body that routing needs."""
        ...

    def normalize(self, raw: RawEvent, context: Context) -> PaymentEvent | Rejected | Unmodelled:
        """Makes one `PaymentEvent` of a raw record, or says why that is not possible."""
        ...

    def control_total(self, body: bytes) -> ControlTotal | None:
        """The amount and the currency of a body; `None` if its kind has no control total.

        Read the body directly, without the code of `normalize`: the ledger compares the two. See
        `EventBase.has_control_total`.
        """
        ...


@cache
def providers() -> Mapping[str, Provider]:
    """Each provider of this folder, by its name."""
    modules = (
        import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    )
    return {
        module.PROVIDER.name: module.PROVIDER for module in modules if hasattr(module, "PROVIDER")
    }


def topics() -> tuple[str, ...]:
    """Each topic that must exist: those of the pipeline and each provider's raw topics."""
    found = providers().values()
    return (*PIPELINE, *(raw(each.name, resource) for each in found for resource in each.resources))


def source(provider: str, account: str | None = None) -> str:
    """The CloudEvents `source` of a provider's events, which is also the path of its webhooks."""
    return f"/webhooks/{provider}" if account is None else f"/webhooks/{provider}/{account}"


def event_headers(provider: str, event: Envelope) -> Headers:
    """The CloudEvents headers of a record. The provider has checked the format of each value."""
    headers: Headers = (
        (names.CE_SPECVERSION, b"1.0"),
        (names.CE_ID, event.event_id.encode()),
        (names.CE_TYPE, event.event_type.encode()),
        (names.CE_SOURCE, source(provider, event.account).encode()),
    )
    if event.identity_sha256 is not None:
        headers += ((names.IDENTITY_SHA256, event.identity_sha256.encode()),)
    if event.occurred_at is not None:
        headers += ((names.CE_TIME, event.occurred_at.isoformat().encode()),)
    return headers
