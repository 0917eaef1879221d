"""The body of an event for a second endpoint of the same account.

Stripe sends an event to every endpoint of an account. `pending_webhooks` counts the endpoints that
have not answered yet, so it differs between two deliveries. An endpoint has its own API version, so
the object may have another shape. Source: Stripe's API reference, `Event` and `WebhookEndpoint`.
"""

import orjson

from .actors import API_VERSIONS
from .random_source import Dice
from .shapes import Json
from .versions import refunds_include_releases, shaped
from .world import Event


def for_second_endpoint(event: Event, dice: Dice) -> bytes:
    """Return the event with another `pending_webhooks`, half of the time in another API version."""
    envelope: Json = orjson.loads(event.body)
    own = envelope["api_version"]
    others = _like(own)
    version = dice.choice(others) if others and dice.chance(0.5) else own
    return rendered(event, version, envelope["pending_webhooks"] + dice.randrange(1, 4))


def for_api(event: Event) -> bytes:
    """Return the event as Stripe's API lists it: in the version of the account, if there is one.

    An event of a connected account has no `account` there, because the request names the account.
    """
    own = orjson.loads(event.body)["api_version"]
    listed: Json = orjson.loads(rendered(event, next(iter(_like(own)), own), 0))
    listed.pop("account", None)
    return orjson.dumps(listed)


def rendered(event: Event, version: str, pending_webhooks: int) -> bytes:
    """Return the event in an API version."""
    envelope: Json = orjson.loads(event.body)
    data: Json = envelope["data"]
    if event.thing is not None:
        kind = event.thing["object"]
        data["object"] = shaped(kind, event.thing, version)
        if event.before is not None:
            data["previous_attributes"] = shaped(kind, event.before, version)
    body = orjson.dumps(envelope | {"api_version": version, "pending_webhooks": pending_webhooks})
    # Every nested object has the mode of its event.
    return body.replace(b'"livemode":false', b'"livemode":true') if envelope["livemode"] else body


def _like(own: str) -> tuple[str, ...]:
    """Return the other versions with the same amounts: refunds with releases, or without.

    The bodies of 2016 and 2017 lack fields that every later version has, so they have no other.
    """
    if own not in API_VERSIONS:
        return ()
    whole = refunds_include_releases(own)
    return tuple(
        version
        for version in API_VERSIONS
        if version != own and refunds_include_releases(version) == whole
    )
