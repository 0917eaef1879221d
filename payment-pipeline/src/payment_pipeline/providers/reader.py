"""Reads typed values from a JSON body, and records each error with its path.

A `Reader` reads the fields of one JSON object. It never raises. On an error it records the path and
a message, and returns `None`, so a dead letter lists all errors of a body and not only the first.

A missing field, `null`, `""` and `"null"` are all read as `None`. Messages name types and never
values, because a wrong field may hold anything, even a card number. Except for `raw_text`,
the methods return only texts that `domain.personal_data` allows.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias

from pydantic import ValidationError

from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import FailureClass, FieldError, Rejected
from payment_pipeline.domain.personal_data import (
    NO_FORMAT,
    is_code,
    is_event_type,
    is_plain_id,
    is_plain_label,
    pseudonym,
)

Json: TypeAlias = Mapping[str, object]
Fields: TypeAlias = dict[str, object]
"""The fields of an event by name, with values that its model accepts."""

TEXT_CHARACTERS_MAX: Final = 255
"""The maximum length of ids and codes, as in `domain.events`."""
BIGINT_MAX: Final = 2**63 - 1
COUNT_MAX: Final = 2**31 - 1
TIMESTAMP_MAX_S: Final = 253_370_764_800
"""9999-01-01 UTC: one year before Python's last date, so that no time zone or sum exceeds it."""
FAULTS_MAX: Final = 100
"""More faults than any object has fields. A list of a million wrong items stops here."""
MERGED_DEPTH_MAX: Final = 8
"""More than the depth of any field that is read. It bounds the recursion on a hostile body."""

NULL: Final = "null"
"""A string that means no value, like the empty string."""
_DECIMAL: Final = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,12})?", re.ASCII)


class Fault(NamedTuple):
    """One error, and the class of failure that it gives the event."""

    failure: FailureClass
    error: FieldError


class Reading:
    """The shared state of the readers of one body: the faults, and how its ids are read."""

    __slots__ = ("faults", "own_ids", "pseudonym_key")

    def __init__(self, pseudonym_key: bytes, own_ids: re.Pattern[str] = NO_FORMAT) -> None:
        """Make a reading of one body.

        Args:
            pseudonym_key: the key of the pseudonyms.
            own_ids: matches the ids that the provider itself makes, so they stay as they are.
        """
        self.faults: list[Fault] = []
        self.pseudonym_key = pseudonym_key
        self.own_ids = own_ids

    def rejected(self) -> Rejected:
        """All faults as one failure: their common class, or `INVALID` if they differ."""
        classes = {fault.failure for fault in self.faults}
        failure = classes.pop() if len(classes) == 1 else FailureClass.INVALID
        return Rejected(failure, tuple(fault.error for fault in self.faults))


class Reader:
    """Reads one JSON object of the body.

    The reader of an absent object is false, and each of its fields is `None`.
    """

    __slots__ = ("_object", "_path", "_within", "reading")

    def __init__(
        self, found: Json, path: str, reading: Reading, within: "Reader | None" = None
    ) -> None:
        self._object = found
        self._path = path  # relative to `within`, because only a fault needs the whole path
        self._within = within
        self.reading = reading

    def __bool__(self) -> bool:
        return bool(self._object)

    def raw_text(self, name: str, *, required: bool = False) -> str | None:
        """A string of at most `TEXT_CHARACTERS_MAX`, unchanged.

        It may hold personal data. Compare it with a closed list, and never put it into an event.
        """
        value = self._object.get(name)
        if value is None and not required:  # the most frequent case
            return None
        if type(value) is not str or not value or value == NULL:
            self._unread(name, value, "a string", required=required)
        elif len(value) <= TEXT_CHARACTERS_MAX:
            return value
        else:
            self.fault(name, f"is longer than {TEXT_CHARACTERS_MAX} characters")
        return None

    def identifier(self, name: str, *, required: bool = False) -> str | None:
        """An id, or its pseudonym if the id may identify a person."""
        value = self.raw_text(name, required=required)
        return None if value is None else self._identifier(value)

    def event_type(self, name: str) -> str | None:
        """The required type of an event. Any other text is a fault."""
        value = self.raw_text(name, required=True)
        if value is None or is_event_type(value):
            return value
        self.fault(name, "is not a type of event")
        return None

    def reference(self, name: str) -> str | None:
        """The id of another object. The body holds the id, or the (expanded or deleted) object."""
        value = self._object.get(name)
        if value is None:
            return None
        return self.identifier(name) if type(value) is str else self.child(name).identifier("id")

    def label(self, name: str) -> str | None:
        """Like `reference`, for a thing that the merchant names, such as a coupon."""
        value = self._object.get(name)
        if value is None:
            return None
        label = self.raw_text(name) if type(value) is str else self.child(name).raw_text("id")
        return label if label is None or is_plain_label(label) else self._keyed(label)

    def code(self, name: str) -> str | None:
        """A code of the provider or of a card network. Free text in its place is dropped."""
        value = self.raw_text(name)
        return value if value is not None and is_code(value) else None

    def codes(self, *names: str) -> Fields:
        """The codes of several fields, without the absent ones."""
        fields: Fields = {}
        get = self._object.get
        for name in names:
            if get(name) is not None and (value := self.code(name)) is not None:
                fields[name] = value
        return fields

    def amount(self, name: str, *, required: bool = False) -> int | None:
        """An amount in the minor unit: an integer that fits a `bigint`."""
        return self._integer(name, -BIGINT_MAX - 1, BIGINT_MAX, required=required)

    def count(self, name: str) -> int | None:
        """A non-negative integer."""
        return self._integer(name, 0, COUNT_MAX)

    def decimal(self, name: str) -> Fraction | None:
        """The exact value of a decimal number in a string."""
        value = self.raw_text(name)
        if value is not None and not _DECIMAL.fullmatch(value):
            self.fault(name, "should be a decimal number")
            return None
        return None if value is None else Fraction(value)

    def number(self, name: str) -> Fraction | None:
        """The value of a number, as its decimal digits say it: 12.5 is exactly 25/2."""
        value = self._object.get(name)
        if type(value) is int or type(value) is float:
            return Fraction(str(value))
        if value is not None:
            self._unread(name, value, "a number")
        return None

    def identifiers(self, name: str) -> frozenset[str] | None:
        """The ids of a list, each as `identifier` gives it; `None` if there is no list."""
        value = self._object.get(name)
        if type(value) is not list:
            return None
        return frozenset(self._identifier(each) for each in value if type(each) is str)

    def references(self, name: str) -> "list[tuple[str, Reader]]":
        """Each object of a list: its id, and its reader, which is `ABSENT` for an id alone."""
        value = self._object.get(name)
        found: list[tuple[str, Reader]] = []
        for position, each in enumerate(value if type(value) is list else ()):
            item = f"{name}.{position}"
            if type(each) is str:
                found.append((each, ABSENT))
            elif type(each) is dict:
                expanded = Reader(each, item, self.reading, self)
                found.append((expanded.raw_text("id") or item, expanded))
        return found

    def moment(self, name: str, *, required: bool = False) -> datetime | None:
        """A time from Unix seconds, in UTC."""
        seconds = self._integer(name, 0, TIMESTAMP_MAX_S, required=required)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    def flag(self, name: str, *, required: bool = False) -> bool | None:
        """A boolean. Any other type is a fault."""
        value = self._object.get(name)
        if value is True or value is False:
            return value
        if value is not None or required:
            self._unread(name, value, "a boolean", required=required)
        return None

    def choice(self, name: str, among: Collection[str]) -> str | None:
        """A code of a closed list."""
        value = self.raw_text(name)
        if value is not None and value not in among:
            self.fault(name, f"should be one of {', '.join(sorted(among))}")
            return None
        return value

    def pseudonym(self, name: str) -> str | None:
        """A keyed hash of a text that identifies a person. Equal texts have equal hashes."""
        value = self.raw_text(name)
        return None if value is None else self._keyed(value)

    def child(self, name: str) -> "Reader":
        """The reader of a nested object, or `ABSENT`."""
        value = self._object.get(name)
        if type(value) is dict:
            return Reader(value, name, self.reading, self)
        if value is not None:
            self._unread(name, value, "an object")
        return ABSENT

    def expanded(self, name: str) -> "Reader":
        """Like `child`, but returns `ABSENT` if the provider sent only the object's id."""
        value = self._object.get(name)
        return Reader(value, name, self.reading, self) if type(value) is dict else ABSENT

    def children(self, name: str) -> "list[Reader]":
        """The readers of a list of objects; empty if the list is absent."""
        value = self._object.get(name)
        if type(value) is list:
            return list(self._each(name, value))
        if value is not None:
            self._unread(name, value, "a list")
        return []

    def patched(self, changes: "Reader") -> Json:
        """The object with other values in place of its own; nested objects are merged."""
        return _merged(self._object, changes._object)  # noqa: SLF001 - another Reader

    def path(self, name: str) -> str:
        """The path of a field from the root of the body, e.g. `data.object.items.0.price`."""
        within = f"{self._path}.{name}" if self._path else name
        return self._within.path(within) if self._within is not None else within

    def fault(self, name: str, message: str, failure: FailureClass = FailureClass.INVALID) -> None:
        """Records an error of a field."""
        if len(self.reading.faults) < FAULTS_MAX:
            error = FieldError(path=self.path(name), message=message)
            self.reading.faults.append(Fault(failure, error))

    def _identifier(self, text: str) -> str:
        return text if is_plain_id(text, self.reading.own_ids) else self._keyed(text)

    def _keyed(self, text: str) -> str:
        return pseudonym(text, self.reading.pseudonym_key)

    def _integer(self, name: str, low: int, high: int, *, required: bool = False) -> int | None:
        value = self._object.get(name)
        if type(value) is int:
            if low <= value <= high:
                return value
            self.fault(name, f"is not between {low} and {high}")
        elif value is not None or required:
            self._unread(name, value, "an integer", required=required)
        return None

    def _each(self, name: str, values: list[object]) -> "Iterator[Reader]":
        for position, value in enumerate(values):
            item = f"{name}.{position}"
            if type(value) is dict:
                yield Reader(value, item, self.reading, self)
            else:
                self._unread(item, value, "an object")

    def _unread(self, name: str, value: object, wanted: str, *, required: bool = False) -> None:
        """Records a fault for a wrong type, or for a required field without a value."""
        if value not in (None, "", NULL):
            found = _NAMES.get(type(value), "something else")
            self.fault(name, f"should be {wanted}, is {found}")
        elif required:
            self.fault(name, "is missing")


ABSENT: Final = Reader({}, "", Reading(b""))
"""The reader of an absent object."""

_NAMES: Final[Mapping[type, str]] = {
    bool: "a boolean",
    dict: "an object",
    float: "a number that is no 64-bit integer",
    int: "an integer",
    list: "a list",
    str: "a string",
}
"""The names of JSON's types. orjson reads an integer of more than 64 bits as a float."""


def validated(model: type[PaymentEvent], fields: Fields) -> PaymentEvent | Rejected:
    """The event of a kind, or the errors of its model, with the names of the model's fields."""
    try:
        return model.model_validate(fields, strict=True)
    except ValidationError as broken:
        return Rejected(
            FailureClass.INVALID,
            tuple(
                FieldError(path=".".join(map(str, error["loc"])), message=error["msg"])
                for error in broken.errors(include_url=False, include_input=False)
            ),
        )


def _merged(own: Json, changes: Json, depth: int = 0) -> Json:
    """One object with the changes of another, merged down to `MERGED_DEPTH_MAX`."""
    merged = dict(own)
    for name, value in changes.items():
        known = merged.get(name)
        if type(value) is dict and type(known) is dict and depth < MERGED_DEPTH_MAX:
            merged[name] = _merged(known, value, depth + 1)
        else:
            merged[name] = value
    return merged
