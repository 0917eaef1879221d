"""Which receipts are in a window, and how a person names one."""

from datetime import UTC, datetime, timedelta

import pytest

from payment_pipeline.domain.failures import UserError
from payment_pipeline.ledger.audit_window import Window, parse

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("15m", NOW - timedelta(minutes=15)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-01-31T10:00:00Z", NOW - timedelta(hours=2)),
        ("2026-01-31T12:00:00+02:00", NOW - timedelta(hours=2)),
        ("2026-01-31 10:00", NOW - timedelta(hours=2)),
    ],
)
def test_a_window_begins_when_a_person_says(text: str, since: datetime) -> None:
    assert parse(text, None, NOW) == Window(since, NOW)


@pytest.mark.parametrize(
    "text",
    [
        *("yesterday", "5", "99999999999d", "999999999d", "-5m", ""),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_what_is_no_time_is_refused_in_a_sentence(text: str) -> None:
    if not text:
        assert parse(text, None, NOW).since is None
        return
    with pytest.raises(UserError, match="is not a time"):
        parse(text, None, NOW)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(UserError, match="empty"):
        parse("1h", "2h", NOW)


def test_a_window_has_its_start_and_not_its_end() -> None:
    window = Window(NOW - timedelta(hours=1), NOW)
    assert window.since in window
    assert window.until not in window
    assert NOW - timedelta(hours=1, microseconds=1) not in window
    assert NOW - timedelta(days=9_000) in Window(None, NOW)


@pytest.mark.parametrize(
    ("since", "held_since", "complete"),
    [
        (None, NOW - timedelta(days=7), False),
        (NOW - timedelta(days=8), NOW - timedelta(days=7), False),
        (NOW - timedelta(days=6), NOW - timedelta(days=6), True),
    ],
)
def test_a_window_covers_what_retention_has_left(
    since: datetime | None, held_since: datetime, complete: bool
) -> None:
    covered = Window(since, NOW).within(timedelta(days=7), NOW)
    assert covered == Window(held_since, NOW, complete)


def test_a_window_that_is_wholly_gone_covers_nothing() -> None:
    gone = Window(None, NOW - timedelta(days=8)).within(timedelta(days=7), NOW)
    assert not gone.complete
    assert gone.since == gone.until
