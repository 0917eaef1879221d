"""The body of an event for a second endpoint of the same account.

Stripe sends an event to every endpoint of an account. `pending_webhooks` counts the endpoints that
have not answered yet, so it differs between two deliveries. An endpoint has its own API version, so
the object may have another shape. Source: Stripe's API reference, `Event` and `WebhookEndpoint`.
"""

import orjson

from .actors import API_VERSIONS
from .random_source import Dice
from .shapes import Json
from .versions import shaped
from .world import Event


def for_second_endpoint(event: Event, dice: Dice) -> bytes:
    """Return the event with another `pending_webhooks`, half of the time in another API version."""
    envelope: Json = orjson.loads(event.body)
    own = envelope["api_version"]
    others = tuple(version for version in API_VERSIONS if version != own)
    version = dice.choice(others) if dice.chance(0.5) else own
    return rendered(event, version, envelope["pending_webhooks"] + dice.randrange(1, 4))


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
