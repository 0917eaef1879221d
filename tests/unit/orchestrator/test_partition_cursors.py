"""Whether ranges close in time, keep their ids, and leave no offset out."""

from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.orchestrator.dispatcher.partition_cursors import PartitionCursor, due
from payment_pipeline.orchestrator.messages import OffsetRange

EVENTS_MAX, WAIT_S = 1000, 0.2


def lane(position: int = 0, end: int = 0, now_s: float = 0.0) -> PartitionCursor:
    made = PartitionCursor("t", 0, position)
    made.see(end, now_s)
    return made


def test_nothing_to_dispatch_closes_nothing() -> None:
    assert lane(7, 7).close(EVENTS_MAX, WAIT_S, 100.0) is None


def test_a_few_events_wait_for_company() -> None:
    waiting = lane(0, 3)
    assert waiting.close(EVENTS_MAX, WAIT_S, 0.1) is None
    assert waiting.close(EVENTS_MAX, WAIT_S, 0.2) == OffsetRange("t", 0, 0, 3)


def test_a_full_range_waits_for_nothing() -> None:
    assert lane(5, 2000).close(EVENTS_MAX, WAIT_S, 0.0) == OffsetRange("t", 0, 5, 1005)


def test_a_range_that_is_not_acknowledged_keeps_its_id() -> None:
    waiting = lane(0, 3)
    first = waiting.close(EVENTS_MAX, WAIT_S, 1.0)
    waiting.see(50, 2.0)
    assert waiting.close(EVENTS_MAX, WAIT_S, 2.0) == first
    waiting.acknowledge(2.0)
    assert (waiting.position, waiting.lag) == (3, 47)


def test_an_empty_lane_starts_its_wait_with_the_next_event() -> None:
    waiting = lane(0, 3)
    waiting.close(EVENTS_MAX, WAIT_S, 1.0)
    waiting.acknowledge(1.0)
    waiting.see(4, 5.0)
    assert waiting.close(EVENTS_MAX, WAIT_S, 5.1) is None


def test_places_go_to_who_waited_longest_and_the_others_may_still_grow() -> None:
    late, early = lane(0, 10, now_s=0.5), lane(0, 10, now_s=0.0)
    assert due([late, early], 1, EVENTS_MAX, WAIT_S, 1.0) == [early]
    late.see(600, 1.0)
    assert late.close(EVENTS_MAX, WAIT_S, 1.0) == OffsetRange("t", 0, 0, 600)


def test_without_a_place_nothing_is_due() -> None:
    assert due([lane(0, 5000)], 0, EVENTS_MAX, WAIT_S, 9.0) == []


@given(st.lists(st.integers(0, 3000), max_size=30))
def test_the_ranges_cover_the_log_without_gap_or_overlap(growth: list[int]) -> None:
    one, end, now_s, covered = lane(), 0, 0.0, 0
    for more in [*growth, *[0] * 100]:
        end, now_s = end + more, now_s + 1
        one.see(end, now_s)
        batch = one.close(EVENTS_MAX, WAIT_S, now_s)
        if batch is not None:
            assert batch.start == covered
            assert 0 < batch.end - batch.start <= EVENTS_MAX
            covered = batch.end
            one.acknowledge(now_s)
    assert covered == end


def test_what_comes_while_a_range_is_under_way_is_one_range_after_it() -> None:
    one = lane(0, 10, now_s=0.0)
    assert due([one], 9, EVENTS_MAX, WAIT_S, 1.0) == [one]
    one.acknowledge(1.0)
    one.open_ranges = 1
    one.see(600, 1.1)
    assert due([one], 9, EVENTS_MAX, WAIT_S, 5.0) == []
    one.open_ranges = 0
    assert due([one], 9, EVENTS_MAX, WAIT_S, 5.0) == [one]
    assert one.closed == OffsetRange("t", 0, 10, 600)


def test_a_full_range_waits_for_no_other() -> None:
    one = lane(0, 5000)
    one.open_ranges = 3
    assert due([one], 9, EVENTS_MAX, WAIT_S, 0.0) == [one]
