"""Tests of when a micro-batch starts, and of what it builds."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import dagster as dg
import pytest

from orchestration_dagster.dbt_manifest import VERSION
from orchestration_dagster.definitions import defs
from orchestration_dagster.defs.lake import micro_batch
from orchestration_dagster.defs.lake.load_assets import HORIZON_AGE_S_MAX
from orchestration_dagster.defs.marts.dbt_build import MODELS, UNAFFECTED_BY_LOADS
from orchestration_dagster.lake import compare
from orchestration_dagster.lake.bronze_arrow import Horizon, Waiting
from orchestration_dagster.naming import FIRST_MODEL, HORIZON_CHECKS, LAKE_KEYS
from orchestration_dagster.settings_resource import PipelineSettings

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning"),
]


@pytest.fixture(scope="module")
def job() -> dg.JobDefinition:
    return defs().resolve_job_def("micro_batch")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bronze has a new row, and the minute between two runs is 0 s long."""
    monkeypatch.setattr(micro_batch, "EVERY_S", 0.0)
    monkeypatch.setattr(micro_batch, "any_waiting", lambda *_: True)


def asked(instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    context = dg.build_sensor_context(instance, resources={"settings": PipelineSettings()})
    answer = micro_batch.every_minute(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def selected(answer: dg.RunRequest | dg.SkipReason) -> set[dg.AssetKey]:
    assert isinstance(answer, dg.RunRequest)
    assert answer.asset_check_keys == list(HORIZON_CHECKS), "dbt's tests have a job of their own"
    return set(answer.asset_selection or ())


def ran(instance: dg.DagsterInstance, job: dg.JobDefinition, status: dg.DagsterRunStatus) -> None:
    instance.create_run_for_job(job, status=status)


def test_the_first_run_starts_at_once_and_builds_everything(instance: dg.DagsterInstance) -> None:
    assert selected(asked(instance)) == {*LAKE_KEYS, *MODELS}


@pytest.mark.usefixtures("waits")
def test_two_runs_never_overlap(instance: dg.DagsterInstance, job: dg.JobDefinition) -> None:
    ran(instance, job, dg.DagsterRunStatus.STARTED)
    assert isinstance(asked(instance), dg.SkipReason)


def test_a_run_starts_each_minute_when_a_row_waits(
    instance: dg.DagsterInstance, job: dg.JobDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(instance, job, dg.DagsterRunStatus.SUCCESS)
    monkeypatch.setattr(micro_batch, "any_waiting", lambda *_: True)
    assert isinstance(asked(instance), dg.SkipReason)
    monkeypatch.setattr(micro_batch, "EVERY_S", 0.0)
    assert selected(asked(instance))
    monkeypatch.setattr(micro_batch, "any_waiting", lambda *_: False)
    assert isinstance(asked(instance), dg.SkipReason)
    monkeypatch.setattr(micro_batch, "HEARTBEAT_S", 0.0)
    assert selected(asked(instance)), "a quarter of an hour without a load"


@dataclass
class HeldBack:
    """Bronze with rows above a horizon of the given age."""

    age_s: float
    rows: int

    def any_waiting(self, *_: object) -> bool:
        return False

    def waiting(self, *_: object) -> Waiting:
        return Waiting(self.rows, self.age_s)

    def horizon(self) -> Horizon:
        return Horizon("1/1", 1, self.age_s)


@pytest.mark.parametrize(
    ("bronze", "due"),
    [
        (HeldBack(HORIZON_AGE_S_MAX + 1, rows=1), True),
        (HeldBack(HORIZON_AGE_S_MAX - 1, rows=1), False),
        (HeldBack(HORIZON_AGE_S_MAX + 1, rows=0), False),
    ],
    ids=["long", "not_yet_long", "nothing_held_back"],
)
def test_a_run_starts_when_an_old_transaction_holds_a_row_back(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    monkeypatch: pytest.MonkeyPatch,
    bronze: HeldBack,
    due: bool,
) -> None:
    ran(instance, job, dg.DagsterRunStatus.SUCCESS)
    monkeypatch.setattr(micro_batch, "EVERY_S", 0.0)
    monkeypatch.setattr(compare, "open_catalog", lambda _: None)
    monkeypatch.setattr(compare, "find_table", lambda *_: None)
    monkeypatch.setattr(compare, "open_bronze", lambda _: nullcontext(bronze))
    assert isinstance(asked(instance), dg.RunRequest) is due


@pytest.mark.usefixtures("waits")
def test_models_that_no_load_changes_are_built_once_for_each_version(
    instance: dg.DagsterInstance, job: dg.JobDefinition
) -> None:
    assert dg.AssetKey(["staging", "currencies"]) in UNAFFECTED_BY_LOADS
    assert dg.AssetKey(["staging", "stg_payment_events"]) in UNAFFECTED_BY_LOADS
    assert FIRST_MODEL not in UNAFFECTED_BY_LOADS
    ran(instance, job, dg.DagsterRunStatus.SUCCESS)
    older, *rest = sorted(UNAFFECTED_BY_LOADS)
    for key in UNAFFECTED_BY_LOADS:
        version = "before" if key == older else VERSION
        tags = {"dagster/code_version": version}
        instance.report_runless_asset_event(dg.AssetMaterialization(key, tags=tags))
    assert selected(asked(instance)) == {*LAKE_KEYS, *MODELS} - set(rest)
    ran(instance, job, dg.DagsterRunStatus.FAILURE)
    assert selected(asked(instance)) == {*LAKE_KEYS, *MODELS}
