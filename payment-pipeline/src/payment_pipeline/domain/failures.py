"""Failures as values: what the pure steps return beside success, and what a dead letter says."""

from base64 import b64decode, b64encode
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from .raw import Coordinates


class FailureClass(StrEnum):
    """Why an event is where it is. The first question at 3 a.m., so the set is closed and small."""

    UNPARSEABLE = "unparseable"
    """Signed, but the body is not the provider's event: not JSON, not an object, no id or type."""
    UNSTORABLE_TEXT = "unstorable_text"
    """A string holds U+0000, which no PostgreSQL text or jsonb can hold."""
    INVALID = "invalid"
    """A field is missing, of the wrong type, or out of its range."""
    UNKNOWN_CURRENCY = "unknown_currency"
    """Not an ISO 4217 code that is in use."""
    CONFLICTING_BODY = "conflicting_body"
    """The event's id is in bronze with another body: one of the two is not what was sent first."""
    UNPROCESSABLE = "unprocessable"
    """A defect of ours: the step raised on this event. The event is kept, the partition goes on."""


class FieldError(BaseModel):
    """One thing that is wrong, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    path: str
    """Dotted path into the provider's body, e.g. `data.object.amount`; empty for the whole.

    Or a field of `PaymentEvent`, e.g. `traceparent`, where only that schema refuses the event.
    """
    message: str

    @property
    def line(self) -> str:
        """Both, as a person reads them; the queries of `dlq` have the same."""
        return f"{self.path}: {self.message}" if self.path else self.message


class Rejected(NamedTuple):
    """A pure step's answer for an event that can't become a `PaymentEvent`."""

    failure: FailureClass
    errors: tuple[FieldError, ...]


class Unmodelled(NamedTuple):
    """A pure step's answer for a genuine event of a type that no model covers."""

    provider_event_type: str


Base64Bytes = Annotated[
    bytes,
    PlainValidator(lambda value: value if isinstance(value, bytes) else b64decode(value)),
    PlainSerializer(lambda value: b64encode(value).decode(), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


class BadRecord(BaseModel):
    """A dead letter: everything needed to see what was wrong, to mend it and to send it again.

    The value of each record on `payments.validation.dlq`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: int = 1
    failure: FailureClass
    errors: tuple[FieldError, ...]
    """What is wrong: at most 100 faults, or 20 places of U+0000."""
    component: str
    """Who rejected it, e.g. `normalizer`."""
    component_version: str
    provider: str
    event_id: str | None
    provider_event_type: str | None
    source: Coordinates
    body: Base64Bytes
    body_sha256: str
    received_at: AwareDatetime
    verdict: str
    """How the gateway verified it when it came: a dead letter is still a signed one."""
    traceparent: str | None = None
    rejected_at: AwareDatetime
    """When the component gave up on it, UTC."""


class UserError(Exception):
    """What a person can mend: the message is one sentence that says how."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code
