"""The models of events accept only closed lists, and demand what an event says."""

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from payment_pipeline.domain import event_fields
from payment_pipeline.domain.events import EVENT_TYPES, KINDS, EventBase
from support.bare_event import event
from support.closed_lists import closed_statuses

WITHOUT_STATUS = {"customer", "fraud_warning"}
MONEY = [
    ("payment.amount_capturable_updated", "amount_capturable_minor"),
    ("payment.succeeded", "amount_received_minor"),
    ("charge.captured", "amount_captured_minor"),
    ("charge.refunded", "amount_refunded_minor"),
    ("charge.succeeded", "amount_minor"),
    ("dispute.created", "amount_minor"),
    ("refund.created", "amount_minor"),
    ("payout.paid", "amount_minor"),
    ("invoice.paid", "amount_paid_minor"),
    ("invoice.payment_succeeded", "amount_paid_minor"),
]
"""Event types that say that money was reserved, moved or billed, and the field of the amount."""


@pytest.mark.parametrize("kind", KINDS.values())
def test_the_statuses_of_a_kind_are_a_closed_list(kind: type[EventBase]) -> None:
    statuses = closed_statuses(kind) - {None}
    name = kind.model_fields["kind"].default
    assert ("unknown" in statuses) == (name not in WITHOUT_STATUS)
    assert all(isinstance(each, str) for each in statuses)


@pytest.mark.parametrize("kind", KINDS)
def test_another_status_is_no_event(kind: str) -> None:
    event_type = next(each for each in EVENT_TYPES if each.startswith(f"{kind}."))
    with pytest.raises(ValidationError, match="status"):
        event(event_type, status="mended")


@pytest.mark.parametrize(("event_type", "field"), MONEY)
def test_an_event_that_says_that_money_moved_says_how_much(event_type: str, field: str) -> None:
    event(event_type)
    without: dict[str, Any] = {field: None}
    with pytest.raises(ValidationError) as refused:
        event(event_type, **without)
    (error,) = refused.value.errors(include_url=False)
    assert error["loc"][-1] == field
    assert error["msg"].startswith("is required for ")


def test_a_payment_that_succeeded_says_how_much_in_any_event() -> None:
    with pytest.raises(ValidationError, match="is required for succeeded"):
        event("payment.processing", status="succeeded", amount_received_minor=None)


def test_every_missing_field_is_listed() -> None:
    missing: dict[str, Any] = {"amount_minor": None, "currency": None, "status": None}
    with pytest.raises(ValidationError) as refused:
        event("payout.paid", **missing)
    assert {error["loc"][-1] for error in refused.value.errors()} == set(missing)


@pytest.mark.parametrize("kind", KINDS.values())
def test_required_fields_and_what_requires_them_exist(kind: type[EventBase]) -> None:
    types = get_args(kind.model_fields["event_type"].annotation)
    for subject, names in kind.required.items():
        assert subject in {"*", *types, *closed_statuses(kind)}
        assert set(names) <= kind.model_fields.keys()


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.has_control_total])
def test_a_kind_whose_amounts_are_added_up_needs_a_status(kind: type[EventBase]) -> None:
    assert "status" in kind.required["*"]


def test_the_identity_is_the_body_s_hash_if_the_provider_gives_none() -> None:
    plain, named = event("payout.paid"), event("payout.paid", identity_sha256="a" * 64)
    assert plain.is_delivery_of("0" * 64, None)
    assert not plain.is_delivery_of("b" * 64, None)
    assert named.is_delivery_of("b" * 64, "a" * 64)
    assert not named.is_delivery_of("b" * 64, "0" * 64)


@pytest.mark.parametrize("amount", ["1", "0", "-2.5", "0.000001", "9" * 24])
def test_an_exact_amount_is_a_decimal_number(amount: str) -> None:
    found = event("subscription.updated", monthly_amount_minor=amount)
    assert found.model_dump()["monthly_amount_minor"] == amount


@pytest.mark.parametrize("amount", ["", "1.", ".5", "1e3", "NaN", "0.0000001", "9" * 25, 5])
def test_another_text_is_no_exact_amount(amount: object) -> None:
    with pytest.raises(ValidationError):
        event("subscription.updated", monthly_amount_minor=amount)


@pytest.mark.parametrize("reasons", [event_fields.DisputeReason, event_fields.RefundReason])
def test_a_list_of_reasons_has_unknown(reasons: object) -> None:
    assert "unknown" in get_args(reasons)
