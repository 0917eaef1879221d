"""Converts events to rows of `payment_events`, and rows to events.

The values are taken directly from the model. A dump with Pydantic takes five times as long.
"""

from collections.abc import Mapping
from functools import cache
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

import orjson
from pydantic import BaseModel, ValidationError

from payment_pipeline.domain.event_parts import PaymentMethod
from payment_pipeline.domain.events import KINDS, PAYMENT_EVENT, PaymentEvent
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.domain.scoring import EventScores, Score

from .contract import EVENTS, InferenceStatus

FILLED_BY_POSTGRES: Final = frozenset({"ingested_at", "ingest_xid", "id", "corrected_at"})
SCORES: Final = ("fraud_score", "churn_score", "retry_strategy")
"""The columns that are fields of `EventScores`. Other answers are only in the column `scores`."""


class UnstorableError(ValueError):
    """A value that can't be written as JSON."""


class EventId(NamedTuple):
    """The primary key of an event. Rows are inserted in the order of these tuples."""

    provider: str
    event_id: str


class ScoredEvent(NamedTuple):
    """An event to write, with its scores."""

    event: PaymentEvent
    scores: EventScores | None
    """`None` unless `status` is `scored`."""
    status: InferenceStatus

    @property
    def key(self) -> EventId:
        """The primary key of the event."""
        return EventId(self.event.provider, self.event.event_id)


Record: TypeAlias = tuple[Any, ...]

_MADE_HERE: Final = (
    "source_topic",
    "source_partition",
    "source_offset",
    "attributes",
    *SCORES,
    "scores",
    "inference_status",
    "workflow_id",
)
COMMON: Final = tuple(
    column.name
    for column in EVENTS
    if column.name not in FILLED_BY_POSTGRES and column.name not in _MADE_HERE
)
"""The columns that are fields of the event with the same name."""
COLUMNS: Final = (*COMMON, *_MADE_HERE)
"""The columns of a `Record`, in its order."""

_common = itemgetter(*COMMON)
_NOT_ATTRIBUTES: Final = frozenset({*COMMON, "source", "schema_version"})


def to_record(row: ScoredEvent, workflow_id: str) -> Record:
    """The row of an event: the values of `COLUMNS`.

    Raises:
        UnstorableError: an attribute can't be written as JSON.
    """
    event, source = row.event, row.event.source
    fields = event.__dict__
    attributes = {
        name: fields[name] for name in _own_fields(type(event)) if fields[name] is not None
    }
    return (
        *_common(fields),
        source.topic,
        source.partition,
        source.offset,
        to_json(attributes),
        *to_scores(row.scores),
        row.status.value,
        workflow_id,
    )


def to_scores(scores: EventScores | None) -> tuple[Any, ...]:
    """The values of `SCORES`, then of the column `scores`: each answer with model and reasons."""
    if scores is None:
        return (None, None, None, None)
    answers: list[Score | None] = [getattr(scores, name) for name in SCORES]
    given = scores.model_dump_json(exclude={"event_id"}, exclude_none=True)
    return (*(answer.value if answer else None for answer in answers), given.encode())


def to_event(row: Mapping[str, Any]) -> PaymentEvent:
    """The event of a row of `payment_events`, equal to the written event.

    A row that an earlier version wrote may lack what this version requires. Its event has the
    values as they are stored, so that features can be computed from it.
    """
    fields = {
        **{name: row[name] for name in COMMON},
        **row["attributes"],
        "source": {
            "topic": row["source_topic"],
            "partition": row["source_partition"],
            "offset": row["source_offset"],
        },
    }
    try:
        return PAYMENT_EVENT.validate_python(fields)
    except ValidationError:
        return _as_stored(fields)


def _as_stored(fields: dict[str, Any]) -> PaymentEvent:
    method = fields.get("payment_method")
    if method is not None:
        fields["payment_method"] = PaymentMethod.model_construct(**method)
    fields["source"] = Coordinates(**fields["source"])
    event: PaymentEvent = KINDS[fields["kind"]].model_construct(**fields)  # type: ignore[assignment]
    return event


def to_json(value: object) -> bytes:
    """JSON in the format of the topics: times end in Z, and fields that are `None` are left out.

    Raises:
        UnstorableError: a string has a lone surrogate, or an integer has more than 64 bits.
    """
    try:
        return orjson.dumps(value, default=_without_none, option=orjson.OPT_UTC_Z)
    except orjson.JSONEncodeError as error:
        raise UnstorableError(str(error)) from None


@cache
def _own_fields(kind: type[BaseModel]) -> tuple[str, ...]:
    return tuple(name for name in kind.model_fields if name not in _NOT_ATTRIBUTES)


def _without_none(part: object) -> dict[str, Any]:
    return {name: value for name, value in vars(part).items() if value is not None}
