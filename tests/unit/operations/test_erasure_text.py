"""The text and the JSON of an erasure."""

from datetime import UTC, datetime

from payment_operations.erasure_text import proof_as_json, search_as_json, sentences
from payment_pipeline.erasure.erasure_steps import Found, Proof
from support.people import person

JANE = person("cus_jane")
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def proof(neighbours: int = 0, whole_from: datetime | None = None, **left: int) -> Proof:
    return Proof(7, {"bronze payment_events": 3}, left, neighbours, whole_from)


def test_every_erasure_asks_to_replace_older_backups() -> None:
    for ended in (proof(), proof(12, NOON), proof(workflows=1)):
        (said,) = [each for each in sentences(proof_as_json(ended)) if "`payments backup" in each]
        assert "delete all older backups" in said


def test_records_of_others_that_were_deleted_are_counted() -> None:
    said = " ".join(sentences(proof_as_json(proof(12, NOON))))
    assert "12 Kafka records of other customers" in said
    assert f"before {NOON.isoformat()}" in said
    assert "can never be completed by a replay" in said
    assert "can never be completed by a replay" not in " ".join(sentences(proof_as_json(proof())))


def test_the_json_says_from_when_a_backup_is_safe() -> None:
    before = datetime.now(UTC)
    backup_from = proof_as_json(proof())["backup_from"]
    assert before <= datetime.fromisoformat(backup_from) <= datetime.now(UTC)


def test_a_search_does_not_ask_for_a_backup() -> None:
    found = search_as_json(Found(JANE))
    assert "backup_from" not in found
    assert not [each for each in sentences(found) if "`payments backup" in each]


def test_open_dead_letters_are_reported_first() -> None:
    found = Found(JANE, open_letters=[4, 5])
    assert "2 dead letters of this person are open" in " ".join(sentences(search_as_json(found)))
