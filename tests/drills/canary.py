"""Webhooks with personal data in every possible field, so that a search can find leaks.

The marks are a card number, an e-mail address, a name, a phone number, an IBAN, an IP address and
a secret. No other data contains them. They are in the fields where Stripe and merchants put such
data, in free text, and in metadata keys and values. A hostile sender also replaces every code and
id with each mark that identifies a person.
"""

import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final, NamedTuple

from payment_pipeline.simulator.world import Event
from support.pairs import pairs
from support.unmodelled import UNMODELLED_TYPE

UNCHANGED: Final = frozenset({"id", "object", "currency", "type"})
"""Fields that define the kind of a body. They stay as they are, except for the id of a customer."""
CUSTOMER: Final = "customer"


class Marks(NamedTuple):
    """The texts that the drill searches for."""

    card_number: str
    email: str
    name: str
    phone: str
    iban: str
    ip_address: str
    secret: str

    @property
    def of_a_person(self) -> tuple[str, ...]:
        """The marks that merchants use as ids, and that hostile senders write into codes."""
        return tuple(text for text in self if text != self.secret)


def marks(rng: Random) -> Marks:
    """Make new marks, so that the search does not find marks of an earlier drill."""
    token = f"{rng.getrandbits(64):016x}"
    digits = "".join(str(int(digit, 16) % 10) for digit in token)
    groups = ":".join(token[start : start + 4] for start in range(0, len(token), 4))
    return Marks(
        card_number=digits,
        email=f"canary-{token}@example.invalid",
        name=f"Quenby Canary{token}",
        phone=f"+4917{digits[:9]}",
        iban=f"DE89{digits}99",
        ip_address=f"2001:db8:{groups}",
        secret=f"sk_live_canary{token}",
    )


def of_every_kind() -> list[Event]:
    """Return Stripe's fixture pairs as events: every kind, also those that no simulation sends."""
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
    """Put the marks into every field of the event that may hold personal data."""
    body = json.loads(event.body)
    found = body["data"]["object"]
    _replace_texts(found, marked)
    found.update(_fields(marked))
    body["request"] = {"id": "req_1", "idempotency_key": marked.secret}
    return event._replace(body=json.dumps(body).encode())


def unmodelled_with_marks(event: Event, marked: Marks) -> Event:
    """Return the event with marks, as a type without a model."""
    body = json.loads(with_marks(event, marked).body)
    body |= {"id": f"{event.event_id}U", "type": UNMODELLED_TYPE}
    return Event(body["id"], UNMODELLED_TYPE, event.created, json.dumps(body).encode())


def malformed_with_marks(event: Event, marked: Marks) -> Iterator[Event]:
    """Make bodies with marks that become dead letters, each for a different reason."""
    genuine = json.loads(with_marks(event, marked).body)
    for number, change in enumerate(_faults(marked)):
        body = json.loads(json.dumps(genuine))
        body["id"] = f"{event.event_id}M{number}"
        body["data"]["object"].update(change)
        yield Event(body["id"], event.type, event.created, json.dumps(body).encode())
    not_json = "{" + " ".join(marked)
    yield Event(f"{event.event_id}N", event.type, event.created, not_json.encode())


def hostile_with_marks(event: Event, marked: Marks) -> Iterator[Event]:
    """Replace every code and id of the object, except `UNCHANGED`, with each mark in turn."""
    for number, text in enumerate(marked.of_a_person):
        body = json.loads(event.body)
        body["id"] = f"{event.event_id}H{number}"
        body["data"]["object"] = _all_texts(body["data"]["object"], text)
        yield Event(body["id"], event.type, event.created, json.dumps(body).encode())


def _fields(marked: Marks) -> dict[str, Any]:
    """Return the fields where Stripe's objects hold personal data, filled with the marks.

    An object without such a field gets the field as an extra one.
    """
    address = {
        "city": marked.name,
        "line1": marked.name,
        "line2": marked.secret,
        "postal_code": marked.card_number,
        "state": marked.name,
    }
    person = {"name": marked.name, "email": marked.email, "phone": marked.phone}
    details = {**person, "address": address}
    return {
        **person,
        "billing_details": details,
        "shipping": details,
        "customer_details": details,
        "customer_name": marked.name,
        "customer_email": marked.email,
        "customer_phone": marked.phone,
        "customer_purchase_ip": marked.ip_address,
        "receipt_email": marked.email,
        "receipt_number": marked.card_number,
        "description": f"{marked.name} {marked.card_number} {marked.iban}",
        "statement_descriptor": marked.name,
        "ip_address": marked.ip_address,
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
            marked.iban: "5",
            marked.phone: "6",
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
    """Put the marks into the text fields and empty fields of `_fields`, at every depth."""
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
        replaced = {key: _all_texts(each, text, key) for key, each in value.items()}
        return {**replaced, "id": text} if value.get("object") == CUSTOMER else replaced
    if isinstance(value, list):
        return [_all_texts(each, text, name) for each in value]
    return text if isinstance(value, str) and name not in UNCHANGED else value
