"""Tests that runs on the same tables wait for each other, by the stack's configuration."""

from collections.abc import Iterator

import dagster as dg
import pytest
import yaml
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter

from local_stack.dagster import TEMPLATE
from orchestration_dagster.definitions import defs
from orchestration_dagster.naming import FIRST_MODEL, lake_key

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning"),
]
EVENTS = ["payment_events"]
UPKEEP = [dg.AssetKey(["maintenance", "compact", *EVENTS])]
UPKEEP_OF_MODELS = [dg.AssetKey(["maintenance", "compact", "models"])]
TESTS_OF_DBT = "marts_hold"


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return defs().get_repository_def()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with the configuration of `payments up`, and another storage."""
    config = yaml.safe_load(TEMPLATE.read_text())
    for elsewhere in ("storage", "local_artifact_storage", "compute_logs"):
        del config[elsewhere]
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def waits(
    instance: dg.DagsterInstance, queued: dg.JobDefinition, running: dg.JobDefinition
) -> bool:
    """The daemon's check before it starts a run."""
    run = instance.create_run_for_job(queued, status=dg.DagsterRunStatus.NOT_STARTED)
    other = instance.create_run_for_job(running, status=dg.DagsterRunStatus.STARTED)
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    blocked = False
    # The daemon asks every second; a pool that it has never seen gets its limit the first time.
    for _ in range(2):
        counter = GlobalOpConcurrencyLimitsCounter(
            instance,
            [run],
            instance.get_run_records(started),
            instance.event_log_storage.get_concurrency_keys(),
            instance.event_log_storage.get_pool_limits(),
            pool_granularity=instance.get_concurrency_config().pool_config.pool_granularity,
        )
        blocked = counter.is_blocked(run)
    for each in (run, other):
        instance.delete_run(each.run_id)
    return blocked


def assets(repository: dg.RepositoryDefinition, keys: list[dg.AssetKey]) -> dg.JobDefinition:
    """A run of the given assets, as automation or a person would request it."""
    return repository.get_implicit_global_asset_job_def().get_subset(asset_selection=set(keys))


@pytest.mark.parametrize("keys", [UPKEEP, UPKEEP_OF_MODELS], ids=["upkeep", "upkeep_of_models"])
def test_maintenance_and_micro_batches_wait_for_each_other(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, keys: list[dg.AssetKey]
) -> None:
    upkeep, micro_batch = assets(repository, keys), repository.get_job("micro_batch")
    assert waits(instance, queued=upkeep, running=micro_batch)


def test_a_micro_batch_waits_for_maintenance_even_if_its_first_steps_could_run(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition
) -> None:
    upkeep, micro_batch = assets(repository, UPKEEP_OF_MODELS), repository.get_job("micro_batch")
    assert waits(instance, queued=micro_batch, running=upkeep)


@pytest.mark.parametrize("job", ["rebuild", "reanchor", "reload_day", TESTS_OF_DBT])
def test_other_writers_wait_for_a_micro_batch(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, job: str
) -> None:
    micro_batch = repository.get_job("micro_batch")
    assert waits(instance, queued=repository.get_job(job), running=micro_batch)


def test_runs_on_different_tables_do_not_wait(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition
) -> None:
    load, model = assets(repository, [lake_key(*EVENTS)]), assets(repository, [FIRST_MODEL])
    assert not waits(instance, queued=load, running=model)
