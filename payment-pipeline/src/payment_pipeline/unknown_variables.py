"""Variables with our prefix that no setting has: a misspelled one would have no effect."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

PREFIX: Final = "PAYMENTS_"
OURS: Final = ("PAYMENTS_HOME", "PAYMENTS_STACK")
"""The variables that are no settings: the home folder, and the mark of a stack's processes."""
SIGNING: Final = "PAYMENTS_WEBHOOK_SECRETS_"
"""A provider's name follows, of this version or of another."""
SERVICE_LINKS: Final = ("_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_TCP_ADDR", "_TCP_PORT")
"""The ends of the variables that Kubernetes makes of each Service."""


def sentence(given: Iterable[str], settings: Collection[str]) -> str | None:
    """Name the first unknown variable, with the nearest known name. None if all are known.

    Args:
        given: the names of all variables, of which those without our prefix are ignored.
        settings: the variables of all settings.
    """
    known = {*settings, *OURS}
    unknown = sorted(
        name
        for name in {each.upper() for each in given}
        if name.startswith(PREFIX) and name not in known and not _signs(name)
    )
    if not unknown:
        return None
    name = unknown[0]
    if name.endswith(SERVICE_LINKS):
        remedy = "Kubernetes made it of a Service: set enableServiceLinks to false in the pod."
    elif nearest := _nearest(name, {*known, f"{SIGNING}STRIPE"}):
        remedy = f"Did you mean {nearest}?"
    else:
        remedy = "Remove it, or see .env.example for all settings."
    return f"{name} is no setting. {remedy}"


def _nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that resembles it most. The common prefix would make all of them alike."""
    ends = sorted(each.removeprefix(PREFIX) for each in known)
    found = get_close_matches(name.removeprefix(PREFIX), ends, n=1)
    return f"{PREFIX}{found[0]}" if found else None


def _signs(name: str) -> bool:
    return name.startswith(SIGNING) and name != SIGNING
