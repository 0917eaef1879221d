"""How the client's ledger is read, whatever is in the file."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from payment_pipeline.domain.client_ledger import Attempt, dump
from payment_pipeline.domain.failures import UserError
from payment_pipeline.ledger import client_attempts
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.stage_tally import Tally
from payment_pipeline.ledger.stages import Reading, Stage

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def line(name: str | None, answer: object, at: datetime = NOW) -> bytes:
    digest = sha256((name or "").encode()).hexdigest()
    return dump(Attempt(name, digest, answer, at.isoformat(), None))  # type: ignore[arg-type]


def names(tally: Tally) -> list[str]:
    return [tally.name(row) for row in range(len(tally))]


def read(
    path: Path, *lines: bytes, window: Window | None = None, open_ended: bool = True
) -> tuple[Reading, client_attempts.Attempts]:
    (path / "client.jsonl").write_bytes(b"".join(lines))
    reading = Reading()
    window = window or Window(None, NOW)
    attempts = client_attempts.read(path / "client.jsonl", window, reading, open_ended=open_ended)
    return reading, attempts


def test_answers_are_told_apart(tmp_path: Path) -> None:
    answers: dict[str, object] = {"a": 200, "b": 202, "c": 401, "d": 413, "e": 503, "f": "unknown"}
    reading, attempts = read(tmp_path, *(line(*each) for each in answers.items()))
    assert names(reading.stages[Stage.ACKNOWLEDGED]) == ["a", "b"]
    assert names(reading.refused) == ["c", "d"]
    assert names(reading.unanswered) == ["e", "f"]
    assert attempts == client_attempts.Attempts(judged=6, at_edge=0, outside=0, unread=0)


@pytest.mark.parametrize(
    "cut",
    [
        b'{"event_id": "evt_1", "sha',
        b"\n",
        b"[]\n",
        b'"x"\n',
        line("a", 200).replace(b'"event_id":"a"', b'"event_id":5'),
        line("a", 200).replace(sha256(b"a").hexdigest().encode(), b"not hex"),
        line("a", 200, NOW.replace(tzinfo=None)),
    ],
)
def test_a_line_that_cannot_be_read_is_counted(tmp_path: Path, cut: bytes) -> None:
    reading, attempts = read(tmp_path, line("b", 200), cut)
    assert names(reading.stages[Stage.ACKNOWLEDGED]) == ["b"]
    assert (attempts.judged, attempts.unread) == (1, 1)


def test_attempts_near_the_windows_ends_are_left_out(tmp_path: Path) -> None:
    window = Window(NOW - timedelta(hours=1), NOW)
    times = {"early": -62, "before": -61, "at_start": -59.5, "in": -30, "at_end": -0.5, "late": 1}
    lines = [line(name, 200, NOW + timedelta(minutes=at)) for name, at in times.items()]
    reading, attempts = read(tmp_path, *lines, window=window, open_ended=False)
    assert names(reading.stages[Stage.ACKNOWLEDGED]) == ["in"]
    assert attempts == client_attempts.Attempts(judged=1, at_edge=3, outside=2, unread=0)
    reading, attempts = read(tmp_path, *lines, window=window)
    assert names(reading.stages[Stage.ACKNOWLEDGED]) == ["in", "at_end", "late"]
    assert attempts == client_attempts.Attempts(judged=3, at_edge=2, outside=1, unread=0)


def test_a_window_that_leaves_out_every_attempt_judges_nothing(tmp_path: Path) -> None:
    half_a_minute = Window(NOW - timedelta(seconds=30), NOW)
    at_edge = line("a", 200, NOW - timedelta(seconds=20))
    long_ago = line("b", 200, datetime.min.replace(tzinfo=UTC))
    for given in (at_edge, long_ago):
        reading, attempts = read(tmp_path, given, window=half_a_minute)
        assert not reading.stages[Stage.ACKNOWLEDGED]
        assert attempts.nothing_judged
    assert read(tmp_path, window=half_a_minute)[1].nothing_judged, "an empty file proves nothing"
    assert not read(tmp_path, at_edge)[1].nothing_judged


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a client ledger"):
        read(tmp_path, b"hello\n")
    with pytest.raises(UserError, match="can't be read"):
        client_attempts.read(tmp_path / "none", Window(None, NOW), Reading(), open_ended=True)


def test_an_empty_ledger_is_a_ledger(tmp_path: Path) -> None:
    assert read(tmp_path)[1] == client_attempts.Attempts(0, 0, 0, 0)


def test_on_one_clock_no_attempt_is_too_near_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "client.jsonl"
    path.write_bytes(line("first", 200, NOW) + line("before", 200, NOW - timedelta(seconds=1)))
    reading = Reading()
    window = Window(NOW, NOW + timedelta(seconds=2))
    attempts = client_attempts.read(path, window, reading, open_ended=True, edge=timedelta(0))
    assert attempts == client_attempts.Attempts(judged=1, at_edge=0, outside=1, unread=0)
    assert names(reading.stages[Stage.ACKNOWLEDGED]) == ["first"]
