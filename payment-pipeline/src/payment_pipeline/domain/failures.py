"""Failures as values: the other results of the pure steps, and the content of a dead letter."""

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
    """The class of failure of a rejected event. The set is closed and small on purpose."""

    UNPARSEABLE = "unparseable"
    """The signature is valid, but the body is no event: not JSON, not an object, no id or type."""
    UNSTORABLE_TEXT = "unstorable_text"
    """A string holds U+0000, which no PostgreSQL text or jsonb can hold."""
    INVALID = "invalid"
    """A field is missing, has the wrong type, or is out of range."""
    UNKNOWN_CURRENCY = "unknown_currency"
    """The currency is not an ISO 4217 code in use."""
    CONFLICTING_BODY = "conflicting_body"
    """Bronze has the event's id with another identity, so the two bodies say different things.

    The body that arrived first stays in bronze.
    """
    UNPROCESSABLE = "unprocessable"
    """A bug in the pipeline: a step raised on this event. The event is kept as a dead letter."""


class FieldError(BaseModel):
    """One error and its place in the body."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    path: str
    """Dotted path in the provider's body, e.g. `data.object.amount`; empty for the whole body.

    It is a field of `PaymentEvent`, e.g. `traceparent`, if only that schema rejects the event.
    """
    message: str

    @property
    def line(self) -> str:
        """Path and message in one line. The queries of `dlq` build the same line."""
        return f"{self.path}: {self.message}" if self.path else self.message


class Rejected(NamedTuple):
    """The result of a pure step for an event that can't become a `PaymentEvent`."""

    failure: FailureClass
    errors: tuple[FieldError, ...]


class Unmodelled(NamedTuple):
    """The result of a pure step for a genuine event of a type without a model."""

    provider_event_type: str


Base64Bytes = Annotated[
    bytes,
    PlainValidator(lambda value: value if isinstance(value, bytes) else b64decode(value)),
    PlainSerializer(lambda value: b64encode(value).decode(), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


class BadRecord(BaseModel):
    """A dead letter: everything that is needed to diagnose the event, repair it and send it again.

    It is the value of each record on `payments.validation.dlq`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: int = 1
    failure: FailureClass
    errors: tuple[FieldError, ...]
    """The errors: at most 100 of them, or at most 20 paths of U+0000."""
    component: str
    """The component that rejected the event, e.g. `normalizer`."""
    component_version: str
    provider: str
    event_id: str | None
    provider_event_type: str | None
    source: Coordinates
    body: Base64Bytes
    body_sha256: str
    identity_sha256: str | None = None
    """What deliveries of the same event have in common, as in `PaymentEvent`.

    `None` if it is `body_sha256`, or if no event could be read.
    """
    received_at: AwareDatetime
    verdict: str
    """How the gateway verified the signature. Every dead letter had a valid signature."""
    traceparent: str | None = None
    rejected_at: AwareDatetime
    """When the component rejected the event, UTC."""


class UserError(Exception):
    """An error that a person can fix. The message says how.

    Args:
        message: one or several sentences, in one line.
        exit_code: of the command that ends with this error.
        output: lines of another program's output or log that show the cause.
    """

    def __init__(self, message: str, exit_code: int = 2, *, output: str = "") -> None:
        super().__init__(f"{message}\n{output}" if output else message)
        self.message = message
        self.exit_code = exit_code
        self.output = output
