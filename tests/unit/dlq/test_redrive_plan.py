"""A dead letter is sent with the headers of its first receipt, and only if it can succeed."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from payment_pipeline.dlq import json_patch as patches
from payment_pipeline.dlq.redrive_plan import Held, Letter, Outcome, Ready, plan
from payment_pipeline.domain import headers as names
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.providers import providers
from support.stripe_bodies import body as stripe_body
from support.stripe_bodies import example

AT = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
SOURCE = Coordinates(topic="webhooks.stripe.charge", partition=1, offset=9)
BODY_BYTES_MAX = 100_000
EURO = json.dumps([{"op": "replace", "path": "/data/object/currency", "value": "eur"}])


def letter(body: bytes, event_id: str | None = "evt_1", **fields: object) -> Letter:
    given: dict[str, Any] = {
        "id": 7,
        "failure": "invalid",
        "provider": "stripe",
        "event_id": event_id,
        "body": body,
        "body_sha256": sha256(body).hexdigest(),
        "identity_sha256": None,
        "verdict": "verified:stripe:9f2c1a",
        "received_at": AT,
        "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "source": SOURCE,
    }
    return Letter(**{**given, **fields})


def charge(**changes: object) -> bytes:
    return stripe_body("charge.succeeded", example("charge", **changes), id="evt_1")


def planned(given: Letter, patch: str | None = None) -> Ready | Held:
    return plan(given, patches.parse(patch) if patch else None, BODY_BYTES_MAX)


def held(given: Letter, patch: str | None = None) -> Held:
    answer = planned(given, patch)
    assert isinstance(answer, Held), answer
    return answer


def ready(given: Letter, patch: str | None = None) -> Ready:
    answer = planned(given, patch)
    assert isinstance(answer, Ready), answer
    return answer


def test_a_good_body_goes_out_unchanged_as_its_first_receipt() -> None:
    body = charge()
    found = ready(letter(body))
    assert (found.topic, found.body, found.event_id) == ("webhooks.stripe.charge", body, "evt_1")
    sent = dict(found.headers)
    assert sent[names.RECEIVED_AT] == b"2026-01-31T12:00:00.123456+00:00"
    assert sent[names.VERDICT] == b"verified:stripe:9f2c1a"
    assert sent[names.TRACEPARENT].startswith(b"00-aaaa")
    assert sent[names.BODY_SHA256] == sha256(body).hexdigest().encode()
    assert sent[names.REDRIVEN_FROM] == b"webhooks.stripe.charge/1/9"
    assert sent[names.CE_ID] == b"evt_1"
    assert names.PATCHED_FROM not in sent
    read = providers()["stripe"].read(body)
    assert found.key.decode() == getattr(read, "key", None)


def test_a_patched_body_says_what_it_was_patched_from() -> None:
    signed = charge(currency="xqq")
    assert held(letter(signed)).reason.startswith("unknown_currency, data.object.currency: ")
    found = ready(letter(signed), EURO)
    assert json.loads(found.body)["data"]["object"]["currency"] == "eur"
    sent = dict(found.headers)
    assert sent[names.PATCHED_FROM] == sha256(signed).hexdigest().encode()
    assert sent[names.BODY_SHA256] == sha256(found.body).hexdigest().encode()
    assert found.body_sha256 != found.letter.body_sha256


def test_a_body_is_sent_with_the_identity_of_its_own_bytes() -> None:
    signed = charge(currency="xqq")
    found = ready(letter(signed), EURO)
    envelopes = [providers()["stripe"].read(body) for body in (signed, found.body)]
    before, after = (getattr(each, "identity_sha256", None) for each in envelopes)
    assert dict(found.headers)[names.IDENTITY_SHA256].decode() == found.identity_sha256 == after
    assert after != before


def test_what_would_be_rejected_again_stays() -> None:
    found = held(letter(charge(amount="12.50")))
    assert found.outcome is Outcome.REJECTED
    assert found.reason.startswith("invalid, data.object.amount: ")
    assert held(letter(b"{", None)).reason == "not_json"
    assert held(letter(charge(), provider="nobody")).outcome is Outcome.REJECTED
    thin = json.dumps({"object": "v2.core.event", "id": "evt_1"}).encode()
    assert "thin" in held(letter(thin)).reason


def test_an_unmodelled_type_goes_out_and_is_known_as_such() -> None:
    body = stripe_body("tax_rate.created", {"id": "txr_1", "object": "tax_rate"}, id="evt_1")
    assert ready(letter(body)).unmodelled
    assert not ready(letter(charge())).unmodelled


def test_an_id_that_could_be_read_is_never_patched_away() -> None:
    other = json.dumps([{"op": "replace", "path": "/id", "value": "evt_2"}])
    assert held(letter(charge()), other).outcome is Outcome.NOT_PATCHED


def test_an_unreadable_body_may_be_given_an_id() -> None:
    nameless = json.loads(charge())
    del nameless["id"]
    body = json.dumps(nameless).encode()
    assert held(letter(body, None)).reason == "id_missing_or_invalid"
    named = json.dumps([{"op": "add", "path": "/id", "value": "evt_mended"}])
    assert ready(letter(body, None), named).event_id == "evt_mended"


def test_bytes_that_are_not_the_signed_ones_are_not_sent() -> None:
    forged = letter(charge(), body_sha256="0" * 64)
    assert held(forged).outcome is Outcome.BODY_LOST
    lost = letter(b"", body_sha256="0" * 64)
    assert "too large" in held(lost).reason


def test_a_patch_can_not_grow_a_body_past_the_gateways_limit() -> None:
    grown = json.dumps([{"op": "add", "path": "/x", "value": "x" * BODY_BYTES_MAX}])
    assert held(letter(charge()), grown).outcome is Outcome.NOT_PATCHED


def test_a_normalizer_that_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("card 4242")

    stripe = providers()["stripe"]
    monkeypatch.setattr(type(stripe), "normalize", broken)
    found = held(letter(charge()))
    assert found.reason == "unprocessable, the normalizer raised RuntimeError"
