"""The doctor's check of the retention headroom."""

import pytest

from payment_operations.retention_checks import judged
from payment_pipeline.adapters.topic_configs import is_less
from payment_pipeline.orchestrator.retention_headroom import Headroom

WEEK_S = 7 * 86_400.0


def headroom(age_s: float, lost: int = 0, retention_s: float = WEEK_S) -> Headroom:
    return Headroom("payments.normalized", 2, 1_500, age_s, retention_s, lost)


def test_without_unprocessed_records_the_check_is_green() -> None:
    assert judged([], all_known=True).ok


@pytest.mark.parametrize(("share", "ok"), [(0.01, True), (0.5, True), (0.51, False), (1.2, False)])
def test_the_check_is_red_from_half_of_the_retention(share: float, ok: bool) -> None:
    found = judged([headroom(share * WEEK_S)], all_known=True)
    assert found.ok is ok
    assert "payments.normalized/2, offset 1500" in found.finding
    assert "7.0 days" in found.finding
    assert "PAYMENTS_KAFKA_RETENTION_MS" in found.remedy


@pytest.mark.parametrize("found", [[], [headroom(0.01 * WEEK_S)]], ids=["nothing", "young"])
def test_without_temporal_the_check_is_red(found: list[Headroom]) -> None:
    unknown = judged(found, all_known=False)
    assert not unknown.ok
    assert "are unknown while Temporal is down" in unknown.finding
    assert "payments up" in unknown.remedy


def test_a_small_headroom_is_reported_without_temporal_too() -> None:
    assert "600 s old" in judged([headroom(600.0, retention_s=1_000.0)], all_known=False).finding


@pytest.mark.parametrize("all_known", [True, False])
def test_deleted_offsets_are_reported_at_any_age(all_known: bool) -> None:
    found = judged([headroom(0.0, lost=12), headroom(0.9 * WEEK_S)], all_known=all_known)
    assert not found.ok
    assert "Kafka deleted 12 offsets" in found.finding
    assert "replay" in found.remedy


def test_a_topic_without_retention_is_green() -> None:
    assert judged([headroom(10 * WEEK_S, retention_s=float("inf"))], all_known=True).ok


@pytest.mark.parametrize(
    ("held", "less"), [(None, False), ("-1", False), ("5", True), ("6", False), ("7", False)]
)
def test_only_a_set_and_smaller_value_is_less(held: str | None, less: bool) -> None:
    assert is_less(held, "6") is less
