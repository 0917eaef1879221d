"""The format of the ids that Stripe makes: a prefix for the kind of object, and random characters.

Merchants may choose the ids of customers and coupons, so those may have any other form.

Source: the ids in Stripe's API reference. An id with a prefix that this list lacks becomes a
pseudonym, so it still joins.
"""

import re
from typing import Final, TypeGuard

from payment_pipeline.domain.personal_data import is_plain_id

PREFIXES: Final = (
    *("acct", "ba", "card", "ch", "cn", "cus", "di", "dp", "du", "evt", "fca", "ii", "il", "in"),
    *("inpay", "issfr", "payatt", "pi", "pm", "po", "price", "prod", "promo", "prv", "py", "pyr"),
    *("re", "seti", "si", "src", "sub", "sub_sched", "tr", "trr", "txi", "txn"),
)

# An id of digits alone, or with 13 digits in a row, may be a phone number or a card number that
# follows a prefix. One in a billion genuine ids has so many.
OWN_FORMAT: Final = re.compile(
    rf"(?:{'|'.join(PREFIXES)})_(?![0-9]{{7,}}$)(?![A-Za-z0-9_]*[0-9]{{13}})[A-Za-z0-9_]{{1,200}}",
    re.ASCII,
)
"""Matches an id that Stripe made."""
_EVENT_ID: Final = re.compile(r"evt_[A-Za-z0-9_.:-]{1,251}", re.ASCII)
"""The suffix may be that of a test event, such as `evt_00000000000000`."""


def is_plain(text: object) -> TypeGuard[str]:
    """Tell whether a value of a body is an id that may be a key or a header of a record."""
    return isinstance(text, str) and is_plain_id(text, OWN_FORMAT)


def is_event_id(text: object) -> TypeGuard[str]:
    """Tell whether a value of a body is the id of an event."""
    return is_plain(text) or (isinstance(text, str) and _EVENT_ID.fullmatch(text) is not None)
