"""What is a person told at the end of an erasure, who has to do the rest?"""

from datetime import UTC, datetime

from payment_operations.erasure import _as_found, _as_proved, _sentences
from payment_pipeline.erasure.forget import Found, Proof
from payment_pipeline.erasure.person import Person

JANE = Person("stripe", "cus_jane")
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def proof(neighbours: int = 0, whole_from: datetime | None = None, **left: int) -> Proof:
    return Proof(7, {"bronze payment_events": 3}, left, neighbours, whole_from)


def test_older_backups_are_to_be_replaced_whatever_was_found() -> None:
    for ended in (proof(), proof(12, NOON), proof(workflows=1)):
        (said,) = [each for each in _sentences(_as_proved(ended)) if "`payments backup" in each]
        assert "delete all older ones" in said


def test_what_a_cut_took_from_older_backups_is_said_with_the_count() -> None:
    said = " ".join(_sentences(_as_proved(proof(12, NOON))))
    assert "12 records of others" in said
    assert f"before {NOON.isoformat()}" in said
    assert "no backup from before" in said
    assert "no backup from before" not in " ".join(_sentences(_as_proved(proof())))


def test_a_machine_is_told_from_when_on_a_backup_serves() -> None:
    before = datetime.now(UTC)
    told = _as_proved(proof())["backup_from"]
    assert before <= datetime.fromisoformat(told) <= datetime.now(UTC)


def test_a_search_asks_for_no_backup() -> None:
    found = _as_found(Found(JANE))
    assert "backup_from" not in found
    assert not [each for each in _sentences(found) if "`payments backup" in each]


def test_open_letters_are_said_before() -> None:
    found = Found(JANE, open_letters=[4, 5])
    assert "2 dead letters are open" in " ".join(_sentences(_as_found(found)))
