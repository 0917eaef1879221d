"""What a tally keeps of an event, and what it costs."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.ledger.stage_tally import Money, Seen, Tally, currency_of, hex_of

BODY = sha256(b"{}").hexdigest()


def test_a_record_keeps_its_name_its_hashes_and_its_money() -> None:
    tally = Tally()
    identity = sha256(b"evt_1").hexdigest()
    tally.add(Seen("stripe", "evt_1", BODY, Money("JPY", -500), identity))
    assert (tally.name(0), tally.event_id(0), tally.body(0)) == ("evt_1", "evt_1", BODY[:32])
    assert hex_of(tally.identities_high[0], tally.identities_low[0]) == identity[:32]
    assert currency_of(tally.currencies[0]) == "JPY"
    assert tally.amounts[0] == -500


def test_an_event_without_an_id_is_named_by_its_body() -> None:
    tally = Tally()
    tally.add(Seen("stripe", None, BODY))
    assert tally.event_id(0) is None
    assert tally.name(0) == f"sha256:{BODY[:32]}"
    assert tally.keys[0] == 0


def test_the_same_id_of_two_providers_is_two_ids() -> None:
    tally = Tally()
    tally.add(Seen("stripe", "evt_1", BODY))
    tally.add(Seen("adyen", "evt_1", BODY))
    assert tally.keys[0] != tally.keys[1]


@given(st.from_regex(r"[A-Z]{3}", fullmatch=True), st.integers(-(2**63) + 1, 2**63 - 1))
def test_any_storable_amount_comes_back(currency: str, amount_minor: int) -> None:
    tally = Tally()
    tally.add(Seen("stripe", "evt_1", BODY, Money(currency, amount_minor)))
    assert (currency_of(tally.currencies[0]), tally.amounts[0]) == (currency, amount_minor)


@given(st.text(), st.integers(min_value=2**63))
def test_money_that_no_row_can_hold_counts_as_none(currency: str, too_large: int) -> None:
    tally = Tally()
    tally.add(Seen("stripe", "evt_1", BODY, Money("EUR", too_large)))
    assert tally.currencies[0] == 0
    tally.add(Seen("stripe", "evt_1", BODY, Money(f"{currency}!", 1)))
    assert tally.currencies[1] == 0


@given(st.lists(st.one_of(st.none(), st.text(min_size=1, max_size=300))))
def test_whatever_the_ids_are_each_row_has_its_own(event_ids: list[str | None]) -> None:
    tally = Tally()
    for event_id in event_ids:
        tally.add(Seen("stripe", event_id, BODY))
    for row, event_id in enumerate(event_ids):
        short = event_id is not None and len(event_id.encode(errors="replace")) <= 255
        if short or event_id is None:
            sendable = event_id.encode(errors="replace").decode() if event_id else None
            assert tally.event_id(row) == sendable
