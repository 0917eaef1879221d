"""A replay as text and as JSON."""

import io
from collections import Counter

import pytest

from payment_operations import replay_text
from payment_operations.terminal import Screen
from payment_pipeline.replay.replay_outcome import ReplayOutcome, Report

BY = "replay/2026-01-31T12:00:00Z"


def said(report: Report) -> str:
    out = io.StringIO()
    replay_text.show(report, Screen(file=out, width=100))
    return out.getvalue()


def test_every_outcome_has_its_meaning() -> None:
    report = Report(BY, dry_run=False, outcomes=Counter(dict.fromkeys(ReplayOutcome, 1)))
    text = said(report)
    assert all(words in text for words in replay_text.MEANINGS.values())
    assert replay_text.MEANINGS.keys() == set(ReplayOutcome)


@pytest.mark.parametrize(
    ("report", "ok", "sentence"),
    [
        (Report(BY, False, letters_closed=3), True, "3 dead letters are closed: bronze has their"),
        (Report(BY, False, letters_open=1_200), False, "1,200 dead letters are still open"),
        (Report(BY, True, letters_open=2), True, "2 dead letters would be closed."),
    ],
)
def test_closed_and_open_dead_letters_are_reported(report: Report, ok: bool, sentence: str) -> None:
    assert sentence in said(report)
    answer = replay_text.as_json(report)
    assert (answer["ok"], answer["letters_closed"], answer["letters_open"]) == (
        ok,
        report.letters_closed,
        report.letters_open,
    )


def test_without_dead_letters_none_are_mentioned() -> None:
    assert "dead letters" not in said(Report(BY, dry_run=False))
