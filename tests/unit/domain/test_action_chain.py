"""The chain of the operators' actions shows each change of it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.domain.action_chain import FIRST_HASH, Action, Head, faults, hash_of, sealed

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
CHANGES: dict[str, Any] = {
    "acted_at": NOON + timedelta(microseconds=1),
    "action": "forget",
    "stage": "failed",
    "begun_number": 9,
    "claimed_by": "somebody else",
    "os_user": "root",
    "os_uid": 0,
    "sudo_user": None,
    "host": "another",
    "detail": {"payment": "pi_2"},
    "previous_hash": "1" * 64,
    "hash": "1" * 64,
}


def chain(length: int) -> list[Action]:
    found: list[Action] = []
    for number in range(length):
        draft = Action(
            0, NOON, "review approve", "ended", None, "ana", "ana", 1000, "sam", "host",
            {"payment": "pi_1", "n": number}, "", "",
        )  # fmt: skip
        found.append(sealed(draft, head(found)))
    return found


def head(actions: list[Action]) -> Head | None:
    return Head(actions[-1].number, actions[-1].hash) if actions else None


def test_a_chain_begins_with_1_and_is_whole() -> None:
    actions = chain(3)
    assert [each.number for each in actions] == [1, 2, 3]
    assert actions[0].previous_hash == FIRST_HASH
    assert faults(actions) == []
    assert faults(actions, head(actions)) == []
    assert faults(actions, head(actions[:1])) == []
    assert faults([]) == []


def test_every_value_but_the_hash_and_the_number_is_tried() -> None:
    assert set(CHANGES) | {"number"} == set(Action._fields)


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_value_is_found(name: str) -> None:
    actions = chain(3)
    actions[1] = actions[1]._replace(**{name: CHANGES[name]})
    assert faults(actions)[0] == "Action 2 was changed."


@given(st.integers(2, 6), st.data())
def test_a_deleted_action_is_found(length: int, data: st.DataObject) -> None:
    actions = chain(length)
    deleted = data.draw(st.integers(0, length - 2))
    del actions[deleted]
    assert faults(actions) == [f"Action {deleted + 1} was deleted."]


def test_a_deleted_action_whose_gap_was_closed_is_found() -> None:
    first, _, third = chain(3)
    moved = third._replace(number=2)
    assert faults([first, moved]) == ["Action 2 was changed."]
    forged = moved._replace(hash=hash_of(moved))
    assert faults([first, forged]) == ["Action 2 does not follow action 1."]


def test_reordered_actions_are_found() -> None:
    first, second, third = chain(3)
    swapped = [first, third._replace(number=2), second._replace(number=3)]
    assert faults(swapped) == ["Action 2 was changed.", "Action 3 was changed."]
    assert faults([first, third, second])


def test_an_action_that_is_there_twice_is_found() -> None:
    actions = chain(3)
    assert faults([actions[0], actions[1], actions[1], actions[2]])


def test_only_a_noted_head_shows_a_chain_that_was_cut_off() -> None:
    actions = chain(5)
    noted = head(actions)
    assert faults(actions[:3]) == []
    assert faults(actions[:3], noted) == ["Actions 4 to 5 were deleted from the end."]
    assert faults([], noted) == ["Actions 1 to 5 were deleted from the end."]


def test_only_a_noted_head_shows_a_chain_that_was_computed_again() -> None:
    noted = head(chain(3))
    again: list[Action] = []
    for each in chain(3):
        again.append(sealed(each._replace(os_user="root"), head(again)))
    assert faults(again) == []
    assert faults(again, noted) == ["Action 3 is another one than the noted head."]


def test_the_hash_does_not_depend_on_the_time_zone_and_the_order_of_keys() -> None:
    (action,) = chain(1)
    elsewhere = action.acted_at.astimezone(timezone(timedelta(hours=2)))
    detail = dict(reversed([*action.detail.items()]))
    assert hash_of(action._replace(acted_at=elsewhere, detail=detail)) == action.hash
