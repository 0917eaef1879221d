"""Tests that the marts are rebuilt once after rewritten days."""

from collections.abc import Iterator, Sequence

import dagster as dg
import pytest
from dagster_dbt import DbtCliResource

from orchestration_dagster.definitions import defs
from orchestration_dagster.defs.lake.rewrite_jobs import FULL_REFRESH

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning"),
]
DAY = "2026-11-01"
BACKFILL = {"dagster/backfill": "two days"}


class Built:
    """A stand-in for dbt that records its calls."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    def cli(self, args: Sequence[str], **_: object) -> "Built":
        self.asked.append(args)
        return self

    def wait(self) -> None:
        """Returns at once."""


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Built:
    found = Built()
    monkeypatch.setattr(DbtCliResource, "cli", found.cli)
    return found


@pytest.fixture(scope="module")
def job() -> dg.JobDefinition:
    return defs().resolve_job_def("reload_day")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def end(job: dg.JobDefinition, instance: dg.DagsterInstance, tags: dict[str, str]) -> None:
    """Runs the step that follows the rewrite of a day."""
    done = job.execute_in_process(
        instance=instance, partition_key=DAY, op_selection=["marts_anew"], tags=tags
    )
    assert done.success


def test_a_single_day_rebuilds_the_marts(
    job: dg.JobDefinition, instance: dg.DagsterInstance, built: Built
) -> None:
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED, tags=BACKFILL)
    end(job, instance, {})
    assert built.asked == [FULL_REFRESH]


def test_the_last_run_of_a_backfill_builds_the_marts(
    job: dg.JobDefinition, instance: dg.DagsterInstance, built: Built
) -> None:
    other = instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED, tags=BACKFILL)
    end(job, instance, BACKFILL)
    assert built.asked == []
    instance.report_run_failed(other)
    end(job, instance, BACKFILL)
    assert built.asked == [FULL_REFRESH]
