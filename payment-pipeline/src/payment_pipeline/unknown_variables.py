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
        remedy = "Kubernetes made it of a Service: set enableServiceLinks to false in the pod"
    elif nearest := get_close_matches(name, [*sorted(known), f"{SIGNING}STRIPE"], n=1):
        remedy = f"Did you mean {nearest[0]}?"
    else:
        remedy = "Remove it, or see .env.example for all settings"
    return f"{name} is no setting. {remedy.rstrip('?')}{'?' if remedy.endswith('?') else '.'}"


def _signs(name: str) -> bool:
    return name.startswith(SIGNING) and name != SIGNING
