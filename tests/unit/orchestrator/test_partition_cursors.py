"""Ranges close in time, keep their workflow ids, and together cover every offset."""

from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.orchestrator.dispatcher.partition_cursors import PartitionCursor, due
from payment_pipeline.orchestrator.messages import OffsetRange

EVENTS_MAX, WAIT_S = 1000, 0.2


def cursor(position: int = 0, end: int = 0, now_s: float = 0.0) -> PartitionCursor:
    made = PartitionCursor("t", 0, position)
    made.see(end, now_s)
    return made


def test_without_records_no_range_closes() -> None:
    assert cursor(7, 7).close(EVENTS_MAX, WAIT_S, 100.0) is None


def test_a_range_with_few_events_waits_for_more() -> None:
    waiting = cursor(0, 3)
    assert waiting.close(EVENTS_MAX, WAIT_S, 0.1) is None
    assert waiting.close(EVENTS_MAX, WAIT_S, 0.2) == OffsetRange("t", 0, 0, 3)


def test_a_full_range_closes_at_once() -> None:
    assert cursor(5, 2000).close(EVENTS_MAX, WAIT_S, 0.0) == OffsetRange("t", 0, 5, 1005)


def test_a_range_without_acknowledgement_keeps_its_offsets() -> None:
    waiting = cursor(0, 3)
    first = waiting.close(EVENTS_MAX, WAIT_S, 1.0)
    waiting.see(50, 2.0)
    assert waiting.close(EVENTS_MAX, WAIT_S, 2.0) == first
    waiting.acknowledge(2.0)
    assert (waiting.position, waiting.lag) == (3, 47)


def test_the_wait_of_an_empty_partition_starts_with_its_next_event() -> None:
    waiting = cursor(0, 3)
    waiting.close(EVENTS_MAX, WAIT_S, 1.0)
    waiting.acknowledge(1.0)
    waiting.see(4, 5.0)
    assert waiting.close(EVENTS_MAX, WAIT_S, 5.1) is None


def test_the_longest_wait_starts_first_and_other_ranges_still_grow() -> None:
    late, early = cursor(0, 10, now_s=0.5), cursor(0, 10, now_s=0.0)
    assert due([late, early], 1, EVENTS_MAX, WAIT_S, 1.0) == [early]
    late.see(600, 1.0)
    assert late.close(EVENTS_MAX, WAIT_S, 1.0) == OffsetRange("t", 0, 0, 600)


def test_no_range_is_due_at_the_limit_of_open_ranges() -> None:
    assert due([cursor(0, 5000)], 0, EVENTS_MAX, WAIT_S, 9.0) == []


@given(st.lists(st.integers(0, 3000), max_size=30))
def test_ranges_cover_the_log_without_gap_or_overlap(growth: list[int]) -> None:
    one, end, now_s, covered = cursor(), 0, 0.0, 0
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


def test_records_that_arrive_while_a_range_is_open_become_one_range() -> None:
    one = cursor(0, 10, now_s=0.0)
    assert due([one], 9, EVENTS_MAX, WAIT_S, 1.0) == [one]
    one.acknowledge(1.0)
    one.open_ranges = 1
    one.see(600, 1.1)
    assert due([one], 9, EVENTS_MAX, WAIT_S, 5.0) == []
    one.open_ranges = 0
    assert due([one], 9, EVENTS_MAX, WAIT_S, 5.0) == [one]
    assert one.closed == OffsetRange("t", 0, 10, 600)


def test_a_full_range_starts_while_other_ranges_are_open() -> None:
    one = cursor(0, 5000)
    one.open_ranges = 3
    assert due([one], 9, EVENTS_MAX, WAIT_S, 0.0) == [one]
