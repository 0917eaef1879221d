"""Which webhooks carry a person in every field that may, so that a leak is seen?

Four marks, of no meaning anywhere else: a card number, an e-mail address, a name and a secret. They
stand where Stripe and merchants would put them: in the fields for them, in free texts, and in
metadata, by key and by value. A hostile sender also puts the address for every code and id.
"""

import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final, NamedTuple

from payment_pipeline.simulator.world import Event
from support.pairs import pairs
from support.unmodelled import UNMODELLED_TYPE

OURS: Final = frozenset({"id", "object", "currency", "type"})
"""Strings without which a body is of no kind: they stay as they are."""


class Marks(NamedTuple):
    """What is looked for."""

    card_number: str
    email: str
    name: str
    secret: str


def marks(rng: Random) -> Marks:
    """New ones, so that what another drill left is not found."""
    token = f"{rng.getrandbits(64):016x}"
    digits = "".join(str(int(digit, 16) % 10) for digit in token)
    return Marks(
        card_number=digits,
        email=f"canary-{token}@example.invalid",
        name=f"Quenby Canary{token}",
        secret=f"sk_live_canary{token}",
    )


def of_every_kind() -> list[Event]:
    """Stripe's fixture pairs as events: every kind, also one that the simulator doesn't send."""
    return [
        Event(
            pair.event["event_id"],
            pair.event["provider_event_type"],
            pair.signed_at_s,
            pair.body,
        )
        for pair in pairs()
        if pair.provider == "stripe"
    ]


def with_marks(event: Event, marked: Marks) -> Event:
    """The event with the marks wherever a person may stand."""
    body = json.loads(event.body)
    found = body["data"]["object"]
    _replace_texts(found, marked)
    found.update(_fields(marked))
    body["request"] = {"id": "req_1", "idempotency_key": marked.secret}
    return event._replace(body=json.dumps(body).encode())


def unmodelled_with_marks(event: Event, marked: Marks) -> Event:
    """The same of a type that no model covers."""
    body = json.loads(with_marks(event, marked).body)
    body |= {"id": f"{event.event_id}U", "type": UNMODELLED_TYPE}
    return Event(body["id"], UNMODELLED_TYPE, event.created, json.dumps(body).encode())


def malformed_with_marks(event: Event, marked: Marks) -> Iterator[Event]:
    """Bodies that end as dead letters, each for another reason and with the marks in it."""
    genuine = json.loads(with_marks(event, marked).body)
    for number, change in enumerate(_faults(marked)):
        body = json.loads(json.dumps(genuine))
        body["id"] = f"{event.event_id}M{number}"
        body["data"]["object"].update(change)
        yield Event(body["id"], event.type, event.created, json.dumps(body).encode())
    said = "{" + " ".join(marked)
    yield Event(f"{event.event_id}N", event.type, event.created, said.encode())


def hostile_with_marks(event: Event, marked: Marks) -> Event:
    """Every code and every id of the object is the address; its kind and its currency stay."""
    body = json.loads(event.body)
    body["id"] = f"{event.event_id}H"
    body["data"]["object"] = _all_texts(body["data"]["object"], marked.email)
    return Event(body["id"], event.type, event.created, json.dumps(body).encode())


def _fields(marked: Marks) -> dict[str, Any]:
    """Where Stripe's objects hold a person; on an object that has no such field it is one more."""
    address = {
        "city": marked.name,
        "line1": marked.name,
        "line2": marked.secret,
        "postal_code": marked.card_number,
        "state": marked.name,
    }
    person = {"name": marked.name, "email": marked.email, "phone": marked.card_number}
    details = {**person, "address": address}
    return {
        **person,
        "billing_details": details,
        "shipping": details,
        "customer_details": details,
        "customer_name": marked.name,
        "customer_email": marked.email,
        "customer_phone": marked.card_number,
        "customer_purchase_ip": marked.secret,
        "receipt_email": marked.email,
        "receipt_number": marked.card_number,
        "description": f"{marked.name} {marked.card_number}",
        "statement_descriptor": marked.name,
        "ip_address": marked.secret,
        "client_secret": marked.secret,
        "evidence": {**details, "customer_email_address": marked.email},
        "failure_message": f"card {marked.card_number} of {marked.name} was declined",
        "cancellation_details": {"comment": f"{marked.name}, {marked.email}", "reason": None},
        "metadata": {
            "note": " ".join(marked),
            marked.email: "1",
            marked.name: "2",
            marked.card_number: "3",
            marked.secret: "4",
        },
    }


def _faults(marked: Marks) -> Iterator[Mapping[str, object]]:
    yield {"created": marked.card_number, "amount": marked.email, "livemode": marked.name}
    yield {"currency": marked.email, "amount": marked.secret}
    yield {"object": marked.name, "id": marked.email, "customer": [marked.card_number]}
    yield {"status": {marked.name: marked.email}, "amount": f"{marked.card_number}.5"}
    yield {"metadata": {f"{marked.email}\0": marked.name, marked.name: {marked.secret: "\0"}}}
    yield {"status": f"{marked.name} {marked.secret} " * 40}


def _replace_texts(value: Any, marked: Marks) -> None:  # noqa: ANN401 - JSON
    """Put the marks into the texts and the empty fields of those names, however deep."""
    if isinstance(value, list):
        for each in value:
            _replace_texts(each, marked)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in _fields(marked) and (each is None or isinstance(each, str)):
                value[key] = " ".join(marked)
            else:
                _replace_texts(each, marked)


def _all_texts(value: Any, text: str, name: str = "") -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _all_texts(each, text, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_all_texts(each, text, name) for each in value]
    return text if isinstance(value, str) and name not in OURS else value
