"""A filter includes only what its options say, and conflicts only on request."""

from datetime import UTC, datetime

import pytest

from payment_pipeline.dlq.dead_letter_selection import Selection, select
from payment_pipeline.domain.failures import UserError


def test_what_is_said_is_meant() -> None:
    found = select(["invalid"], "amount", ["charge.failed"], "2026-01-01", "2026-01-02", ["evt_1"])
    days = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    assert found == Selection(("invalid",), "amount", ("charge.failed",), *days, ("evt_1",))


def test_nothing_said_is_not_everything() -> None:
    with pytest.raises(UserError, match="--all"):
        select()
    with pytest.raises(UserError, match="--all"):
        select(conflicts=True)
    assert select(everything=True) == Selection()


def test_a_conflict_takes_a_word_of_its_own() -> None:
    with pytest.raises(UserError, match="--conflicts"):
        select(["conflicting_body"])
    assert select(["conflicting_body"], conflicts=True).conflicts
    assert not select(everything=True).conflicts


@pytest.mark.parametrize("wrong", [{"failures": ["typo"]}, {"since": "yesterday"}])
def test_what_is_no_class_and_no_time_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UserError):
        select(**wrong)  # type: ignore[arg-type]
