"""Events of schema version 1 are read as events of the current version."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import ValidationError

from payment_pipeline.domain.declines import CLASSES, DeclineReason
from payment_pipeline.domain.event_versions import read
from payment_pipeline.domain.events import KINDS, PAYMENT_EVENT
from support.bare_event import event
from support.pairs import as_json, pairs

FIXTURES: Final = Path(__file__).parent / "fixtures"
EARLIER: Final[dict[str, dict[str, Any]]] = json.loads(
    (FIXTURES / "events_of_version_1.json").read_text()
)
"""What version 1 of the normalizer made of the fixture pairs, by the name of the pair."""
CHANGED: Final = {"schema_version", "status", "reason", "decline"}


def of_kind(kind: str, **changes: object) -> bytes:
    """An event of version 1 with other values. `None` removes the field."""
    found = next(each for each in EARLIER.values() if each["kind"] == kind)
    changed = {name: value for name, value in (found | changes).items() if value is not None}
    return json.dumps(changed).encode()


def test_every_kind_has_an_event_of_version_1() -> None:
    assert {each["kind"] for each in EARLIER.values()} == set(KINDS)
    assert {each["schema_version"] for each in EARLIER.values()} == {1}


@pytest.mark.parametrize("name", EARLIER)
def test_an_event_of_version_1_keeps_its_fields(name: str) -> None:
    earlier = EARLIER[name]
    found = as_json(read(json.dumps(earlier).encode()))
    assert found["schema_version"] == 2
    assert found.get("provider_status") == earlier.get("status")
    assert found.get("provider_reason") == earlier.get("reason") or earlier["kind"] == "review"
    for field in earlier.keys() - CHANGED:
        assert found[field] == earlier[field], field


@pytest.mark.parametrize("name", EARLIER)
def test_an_event_of_version_1_has_the_status_that_the_normalizer_gives_today(name: str) -> None:
    today = {pair.name: pair.event for pair in pairs() if pair.provider == "stripe"}
    found = as_json(read(json.dumps(EARLIER[name]).encode()))
    assert found.get("status") == today[name].get("status")
    assert found.get("decline") == today[name].get("decline")


@pytest.mark.parametrize("kind", ["charge", "dispute", "refund", "payout", "invoice"])
@pytest.mark.parametrize("said", ["mended", None])
def test_an_unknown_status_becomes_unknown(kind: str, said: str | None) -> None:
    found = read(of_kind(kind, status=said))
    assert (found.status, found.provider_status) == ("unknown", said)


@pytest.mark.parametrize("word", ["mended", "canceled_by_law"])
def test_an_unknown_status_of_a_subscription_becomes_unknown(word: str) -> None:
    assert read(of_kind("subscription", status=word)).status == "unknown"
    assert read(of_kind("subscription", status="incomplete_expired")).status == "expired"


@pytest.mark.parametrize(
    ("said", "captured", "refunded", "status"),
    [
        ("succeeded", True, True, "succeeded"),
        ("succeeded", False, False, "authorized"),
        ("succeeded", False, True, "canceled"),
        ("succeeded", None, False, "unknown"),
        ("pending", True, False, "processing"),
        ("failed", True, False, "failed"),
    ],
)
def test_a_charge_is_a_success_only_if_it_was_captured(
    said: str, *, captured: bool | None, refunded: bool, status: str
) -> None:
    sent = of_kind(
        "charge",
        event_type="charge.updated",
        status=said,
        captured=captured,
        refunded=refunded,
    )
    assert read(sent).status == status


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("warning_needs_response", "inquiry"),
        ("warning_under_review", "inquiry"),
        ("warning_closed", "inquiry_closed"),
        ("charge_refunded", "refunded"),
        ("lost", "lost"),
    ],
)
def test_a_dispute_has_the_neutral_status(said: str, status: str) -> None:
    assert read(of_kind("dispute", status=said)).status == status


def test_a_word_of_another_kind_is_unknown() -> None:
    assert read(of_kind("payout", status="lost")).status == "unknown"
    assert read(of_kind("dispute", status="paid")).status == "unknown"


def test_the_type_of_a_payment_decides_its_status() -> None:
    sent = of_kind("payment", event_type="payment.failed", status="succeeded", decline=None)
    assert read(sent).status == "failed"


@pytest.mark.parametrize(
    ("decline", "reason"),
    [
        ({"code": "card_declined", "decline_code": "stolen_card"}, DeclineReason.STOLEN_CARD),
        ({"code": "expired_card"}, DeclineReason.EXPIRED_CARD),
        ({"code": "card_declined", "decline_code": "brand_new"}, DeclineReason.UNKNOWN),
        ({"code": "card_declined"}, DeclineReason.UNKNOWN),
    ],
)
def test_a_decline_has_a_reason_and_its_class(
    decline: dict[str, str], reason: DeclineReason
) -> None:
    found = as_json(read(of_kind("charge", status="failed", decline=decline)))["decline"]
    assert found == decline | {"reason": reason, "decline_class": CLASSES[reason]}


def test_a_reason_that_has_another_name_now_is_unknown() -> None:
    found = as_json(read(of_kind("dispute", reason="general")))
    assert (found["reason"], found["provider_reason"]) == ("unknown", "general")
    found = as_json(read(of_kind("refund", reason="requested_by_customer")))
    assert found["reason"] == found["provider_reason"] == "requested_by_customer"


def test_an_event_of_version_1_without_the_captured_amount_is_no_event() -> None:
    sent = of_kind("charge", event_type="charge.captured", amount_captured_minor=None)
    with pytest.raises(ValidationError, match="amount_captured_minor"):
        read(sent)


def test_an_event_of_the_current_version_is_read_as_it_is() -> None:
    today = event("charge.captured", api_version="2025-03-31.basil")
    assert read(PAYMENT_EVENT.dump_json(today, exclude_none=True)) == today


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"{}", b'{"schema_version": 1}'])
def test_other_values_are_no_events(value: bytes) -> None:
    with pytest.raises(ValidationError):
        read(value)


def test_a_later_version_is_not_guessed() -> None:
    with pytest.raises(ValidationError):
        read(of_kind("charge", schema_version=3))
