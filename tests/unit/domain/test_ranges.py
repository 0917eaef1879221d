"""A workflow's id gives its range back."""

import pytest

from payment_pipeline.domain.ranges import Range, prefix, range_of, workflow_id

ONE = Range("payments.normalized", 3, 100, 1_100)


@pytest.mark.parametrize("suffix", ["", "@1790000000000"])
def test_a_range_is_found_by_its_id(suffix: str) -> None:
    name = workflow_id(*ONE)
    assert name == "ingest/payments.normalized/3/100-1100"
    assert name.startswith(prefix("payments.normalized", 3))
    assert range_of(name + suffix) == ONE


@pytest.mark.parametrize(
    "other", ["rescore", "review/stripe/pi_1", "ingest/a/3/1-", "bench/ingest/a/3/1-2"]
)
def test_other_workflows_have_none(other: str) -> None:
    assert range_of(other) is None
