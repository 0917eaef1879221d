"""How Stripe rendered an event: what the readers of `data.object` need besides the object."""

import re
from datetime import datetime
from typing import Final, NamedTuple

BASIL: Final = "2025-03-31"
"""Since this version a charge's `amount_refunded` holds refunds alone.

Before, it also held the part of an authorization that was released by a partial capture or a
cancellation. Source: Stripe's changelog, 2025-03-31.basil, "Removes refunds from the partial
capture and payment cancellation flows".
"""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Rendering(NamedTuple):
    """The type and the time of an event, and the API version of its body."""

    event_type: str | None
    """The provider-neutral type; `None` for the object as it was before the event."""
    occurred_at: datetime | None
    api_version: str | None

    @property
    def refunds_include_releases(self) -> bool | None:
        """Whether `amount_refunded` includes releases. `None`: the version is not known."""
        dated = _DATE.match(self.api_version or "")
        return None if dated is None else dated[0] < BASIL
