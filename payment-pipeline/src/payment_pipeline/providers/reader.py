"""How does a field of a provider's body become a value, or an error that names its place?

A `Reader` walks one JSON object. It never raises: what is wrong is noted with its path, the read
answers `None`, and the caller goes on, so that a dead letter lists every error and not the first.

Nulls are normalized here: a missing field, `null`, `""` and `"null"` are all `None`. Messages name
types, never values: a wrong field may hold anything, a card number included. What looks like an
e-mail address never passes, whatever field it stands in: it becomes its pseudonym.
"""

import hmac
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias

from payment_pipeline.domain.failures import FailureClass, FieldError, Rejected

Json: TypeAlias = Mapping[str, object]
Fields: TypeAlias = dict[str, object]
"""An event's fields by name, each as its model takes it."""

TEXT_CHARACTERS_MAX: Final = 255
"""Ids and codes, as `domain.events.Id` and `Code` bound them."""
BIGINT_MAX: Final = 2**63 - 1
COUNT_MAX: Final = 2**31 - 1
TIMESTAMP_MAX_S: Final = 253_370_764_800
"""9999-01-01 UTC: a year short of Python's end, so that no time zone or sum runs past it."""
FAULTS_MAX: Final = 100
"""More than any object has fields that are read; a list of a million wrong items ends here."""
PSEUDONYM_CHARACTERS: Final = 32
"""128 bits in hex: no two cards collide."""

NULL: Final = "null"
"""A string that means nothing, as the empty one does."""
ADDRESS_SIGN: Final = "@"
"""In no code and no id of a provider's, and in every address: some merchants use one as an id."""
_DECIMAL: Final = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,12})?", re.ASCII)


class Fault(NamedTuple):
    """One error and the class that it puts the event in."""

    failure: FailureClass
    error: FieldError


class Reading:
    """What the readers of one body share: the faults found, and the key of pseudonyms."""

    __slots__ = ("faults", "pseudonym_key")

    def __init__(self, pseudonym_key: bytes) -> None:
        self.faults: list[Fault] = []
        self.pseudonym_key = pseudonym_key

    def rejected(self) -> Rejected:
        """Every fault as one failure: the first's class, or `INVALID` where they differ."""
        classes = {fault.failure for fault in self.faults}
        failure = classes.pop() if len(classes) == 1 else FailureClass.INVALID
        return Rejected(failure, tuple(fault.error for fault in self.faults))


class Reader:
    """One JSON object of the body; false when it was absent, and then every field is `None`."""

    __slots__ = ("_object", "_path", "_within", "reading")

    def __init__(
        self, found: Json, path: str, reading: Reading, within: "Reader | None" = None
    ) -> None:
        self._object = found
        self._path = path  # from the object that it is within: only a fault asks for all of it
        self._within = within
        self.reading = reading

    def __bool__(self) -> bool:
        return bool(self._object)

    def text(self, name: str, *, required: bool = False) -> str | None:
        """A code or an id: a string of at most `TEXT_CHARACTERS_MAX`; an address's pseudonym."""
        value = self._object.get(name)
        if value is None and not required:  # as most fields of most objects are
            return None
        if type(value) is not str or not value or value == NULL:
            self._unread(name, value, "a string", required=required)
        elif len(value) <= TEXT_CHARACTERS_MAX:
            return self._keyed(value) if ADDRESS_SIGN in value else value
        else:
            self.fault(name, f"is longer than {TEXT_CHARACTERS_MAX} characters")
        return None

    def texts(self, *names: str) -> Fields:
        """Several at once, those that are there."""
        fields: Fields = {}
        get = self._object.get
        for name in names:
            if get(name) is not None and (value := self.text(name)) is not None:
                fields[name] = value
        return fields

    def reference(self, name: str) -> str | None:
        """Another object's id, given as the id or as the (expanded or deleted) object itself."""
        value = self._object.get(name)
        if value is None:
            return None
        return self.text(name) if type(value) is str else self.child(name).text("id")

    def amount(self, name: str, *, required: bool = False) -> int | None:
        """An integer in the minor unit that fits a `bigint`."""
        return self._integer(name, -BIGINT_MAX - 1, BIGINT_MAX, required=required)

    def count(self, name: str) -> int | None:
        """A non-negative integer."""
        return self._integer(name, 0, COUNT_MAX)

    def decimal(self, name: str) -> Fraction | None:
        """A decimal number in a string, exactly."""
        value = self.text(name)
        if value is not None and not _DECIMAL.fullmatch(value):
            self.fault(name, "should be a decimal number")
            return None
        return None if value is None else Fraction(value)

    def moment(self, name: str, *, required: bool = False) -> datetime | None:
        """Unix seconds, as UTC."""
        seconds = self._integer(name, 0, TIMESTAMP_MAX_S, required=required)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    def flag(self, name: str, *, required: bool = False) -> bool | None:
        """A boolean; nothing else passes for one."""
        value = self._object.get(name)
        if value is True or value is False:
            return value
        if value is not None or required:
            self._unread(name, value, "a boolean", required=required)
        return None

    def choice(self, name: str, among: Collection[str]) -> str | None:
        """A code out of a closed list."""
        value = self.text(name)
        if value is not None and value not in among:
            self.fault(name, f"should be one of {', '.join(sorted(among))}")
            return None
        return value

    def pseudonym(self, name: str) -> str | None:
        """A keyed hash in the place of what identifies a person: equal inputs match."""
        value = self.text(name)
        return None if value is None else self._keyed(value)

    def child(self, name: str) -> "Reader":
        """The reader of a nested object; of an empty one where it is absent."""
        value = self._object.get(name)
        if type(value) is dict:
            return Reader(value, name, self.reading, self)
        if value is not None:
            self._unread(name, value, "an object")
        return ABSENT

    def expanded(self, name: str) -> "Reader":
        """As `child`, but absent where the provider sent only its id."""
        value = self._object.get(name)
        return Reader(value, name, self.reading, self) if type(value) is dict else ABSENT

    def children(self, name: str) -> "list[Reader]":
        """The readers of a list of objects; empty where it is absent."""
        value = self._object.get(name)
        if type(value) is list:
            return list(self._each(name, value))
        if value is not None:
            self._unread(name, value, "a list")
        return []

    def path(self, name: str) -> str:
        """Where a field stands in the body: `data.object.items.0.price`."""
        within = f"{self._path}.{name}" if self._path else name
        return self._within.path(within) if self._within is not None else within

    def fault(self, name: str, message: str, failure: FailureClass = FailureClass.INVALID) -> None:
        """Note that a field is wrong."""
        if len(self.reading.faults) < FAULTS_MAX:
            error = FieldError(path=self.path(name), message=message)
            self.reading.faults.append(Fault(failure, error))

    def _keyed(self, text: str) -> str:
        digest = hmac.digest(self.reading.pseudonym_key, text.encode(), "sha256")
        return digest.hex()[:PSEUDONYM_CHARACTERS]

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
        """A field that didn't read is null, which may be right, or of a wrong type, which isn't."""
        if value not in (None, "", NULL):
            found = _NAMES.get(type(value), "something else")
            self.fault(name, f"should be {wanted}, is {found}")
        elif required:
            self.fault(name, "is missing")


ABSENT: Final = Reader({}, "", Reading(b""))
"""What stands for an object that isn't there: nothing in it is required, so nothing is wrong."""

_NAMES: Final[Mapping[type, str]] = {
    bool: "a boolean",
    dict: "an object",
    float: "a number that is no 64-bit integer",
    int: "an integer",
    list: "a list",
    str: "a string",
}
"""JSON's types. An integer past 64 bits arrives as a float: orjson reads it so."""
