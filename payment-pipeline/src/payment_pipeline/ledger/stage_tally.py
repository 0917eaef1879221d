"""Holds the records of one stage in columns, about 100 bytes per record.

A record has the hash of its body, and the hash of its event's identity if it states one. The first
128 bits of each are kept. `distinct_events` decides which records are the same event.
"""

import re
from array import array
from datetime import UTC, date, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

NAME_BYTES_MAX: Final = 255
"""Longer ids are shortened when they are shown. Comparisons use the full id."""
HASH_HEX: Final = 32
"""Hex digits of a SHA-256 that are kept: 128 bits."""
_HALF: Final = HASH_HEX // 2
_LETTERS: Final = 26
UNSTATED_CODE: Final = 0xFFFF
"""Value in `Tally.currencies` for a record that states no money. 0 means that it moves none."""
EPOCH: Final = date(1970, 1, 1)
UNDATED: Final = 0
"""Value in `Tally.days` for an unknown receipt time."""
_EPOCH_ORDINAL: Final = EPOCH.toordinal()
_DAYS_MAX: Final = 0xFFFE
_AMOUNT_MAX: Final = 2**63 - 1
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class Money(NamedTuple):
    """An amount in the provider's minor unit of an ISO 4217 currency."""

    currency: str
    amount_minor: int


UNSTATED: Final = Money("", 0)
"""The money of a record that does not state it, which is not the same as no money."""


class Seen(NamedTuple):
    """One record or row of a stage, as far as the ledger needs it."""

    provider: str | None
    """`None` in the client ledger, which states the id alone."""
    event_id: str | None
    """`None` if no id could be read."""
    body_sha256: str
    """Lower-case hex."""
    money: Money | None = None
    """The money that the control total counts. `None` for kinds of event that move no money,
    `UNSTATED` if the record does not state it."""
    identity_sha256: str | None = None
    """Lower-case hex of the event's identity; `None` if the record does not state it."""


class Tally:
    """The records of one stage in columns, in the order they were added."""

    __slots__ = (
        *("_names", "amounts", "bodies_high", "bodies_low"),
        *("currencies", "days", "ends", "identities_high", "identities_low", "keys"),
    )

    def __init__(self) -> None:
        self.bodies_high = array("Q")
        self.bodies_low = array("Q")
        self.identities_high = array("Q")
        self.identities_low = array("Q")
        """The stated identities; 0 in both halves for a record that states none."""
        self.keys = array("Q")
        """Hash of provider and event id; 0 if one of them is unknown."""
        self.currencies = array("H")
        self.amounts = array("q")
        self.days = array("H")
        """UTC day of the receipt, in days since `EPOCH`."""
        self._names = bytearray()
        self.ends = array("Q", (0,))
        """The end of each name, after a leading 0. Two equal neighbours: a record without an id."""

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, seen: Seen, day: int = UNDATED) -> None:
        """Count one record or row. `day` is its day of receipt, as `day_of` returns it."""
        self.bodies_high.append(int(seen.body_sha256[:_HALF], 16))
        self.bodies_low.append(int(seen.body_sha256[_HALF:HASH_HEX], 16))
        identity = seen.identity_sha256 or "0" * HASH_HEX
        self.identities_high.append(int(identity[:_HALF], 16))
        self.identities_low.append(int(identity[_HALF:HASH_HEX], 16))
        self.keys.append(_key(seen.provider, seen.event_id))
        currency, amount = _storable(seen.money)
        self.currencies.append(currency)
        self.amounts.append(amount)
        self.days.append(min(max(day, UNDATED), _DAYS_MAX))
        if seen.event_id is not None:
            self._names += seen.event_id.encode(errors="replace")[:NAME_BYTES_MAX]
        self.ends.append(len(self._names))

    def event_id(self, row: int) -> str | None:
        """Return the id of the event in a row, or `None` if no id could be read."""
        name = self._names[self.ends[row] : self.ends[row + 1]]
        return name.decode(errors="replace") or None

    def body(self, row: int) -> str:
        """Return the first `HASH_HEX` hex digits of the SHA-256 of the body in a row."""
        return hex_of(self.bodies_high[row], self.bodies_low[row])

    def name(self, row: int) -> str:
        """Return the name to show for the event in a row: its id, or the start of its hash."""
        return self.event_id(row) or f"sha256:{self.body(row)}"


def hex_of(high: int, low: int) -> str:
    """Return two halves of a hash as `HASH_HEX` hex digits."""
    return f"{high:0{_HALF}x}{low:0{_HALF}x}"


def day_of(received_at: datetime) -> int:
    """Return the UTC day of a receipt, in days since `EPOCH`."""
    return received_at.astimezone(UTC).toordinal() - _EPOCH_ORDINAL


def currency_of(code: int) -> str:
    """Return the ISO 4217 code of a `Tally.currencies` value other than 0 and `UNSTATED_CODE`."""
    rest, third = divmod(code - 1, _LETTERS)
    first, second = divmod(rest, _LETTERS)
    return "".join(chr(ord("A") + letter) for letter in (first, second, third))


def _key(provider: str | None, event_id: str | None) -> int:
    if provider is None or event_id is None:
        return 0
    text = f"{provider}\0{event_id}".encode(errors="replace")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) or 1


def _storable(money: Money | None) -> tuple[int, int]:
    """Encode money. An amount that no bronze row can hold counts as none: it must be rejected."""
    if money is UNSTATED:
        return UNSTATED_CODE, 0
    if money is None or abs(money.amount_minor) > _AMOUNT_MAX:
        return 0, 0
    code = _code(money.currency)
    return code, money.amount_minor if code else 0


@lru_cache(maxsize=1_000)  # there are about 180 currencies; invalid ones must not fill the memory
def _code(currency: str) -> int:
    if not _CURRENCY.fullmatch(currency):
        return 0
    first, second, third = (ord(letter) - ord("A") for letter in currency)
    return (first * _LETTERS + second) * _LETTERS + third + 1
