"""Bodies of Stripe events for tests: Stripe's example objects, wrapped as in its webhooks."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "providers"
OBJECTS: dict[str, dict[str, Any]] = json.loads((FOLDER / "stripe_objects.json").read_text())[
    "resources"
]
EVENT_TYPES = (FOLDER / "stripe_event_types.txt").read_text().split()
API_VERSIONS = (
    None,
    "2020-08-27",
    "2022-11-15",
    "2024-06-20",
    "2025-03-31.basil",
    "2026-06-24.dahlia",
)


def event(event_type: str, found: object, **changes: object) -> dict[str, Any]:
    return {
        "id": "evt_1Pgc76B7WZ01zgkWwyRHS12y",
        "object": "event",
        "api_version": "2026-06-24.dahlia",
        "created": 1_750_000_000,
        "data": {"object": found},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
        **changes,
    }


def body(event_type: str, found: object, **changes: object) -> bytes:
    return json.dumps(event(event_type, found, **changes)).encode()


def example(resource: str, **changes: object) -> dict[str, Any]:
    return {**OBJECTS[resource], **changes}


def case(name: str) -> list[dict[str, Any]]:
    """The events of a real payment or subscription, in the order in which Stripe sent them."""
    found: dict[str, Any] = json.loads((FOLDER / "stripe_cases" / f"{name}.json").read_text())
    events: list[dict[str, Any]] = found["events_in_order_of_sending"]
    return events


CASES = sorted(path.stem for path in (FOLDER / "stripe_cases").glob("*.json"))
