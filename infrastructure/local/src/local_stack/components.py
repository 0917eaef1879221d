"""What is the native stack made of: each component's command, needs, ports and readiness?"""

import pkgutil
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Final, NamedTuple

from local_stack import dagster, kafka, postgres, seaweedfs, superset, temporal, trino
from local_stack.files import var
from local_stack.http import answers
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

Work = Callable[[int, int], None]
"""Told of long work: how much more is to be done, and how much more is done."""


PIPELINE: Final = "pipeline"
LAKEHOUSE: Final = "lakehouse"
DASHBOARDS: Final = "dashboards"
GROUPS: Final = (PIPELINE, LAKEHOUSE, DASHBOARDS)
STOP_WAIT_S: Final = 20
"""Of most components; none takes longer."""


def _nothing(_settings: Settings, _work: Work) -> None:
    """Nothing to prepare."""


class Component(NamedTuple):
    """One supervised program."""

    name: str
    command: Callable[[Settings], list[str]]
    ready: Callable[[Settings], Awaitable[bool]]
    """Asks once; True only when it does its work, not when its process merely runs."""
    address: Callable[[Settings], str]
    """Where it is found, without a secret."""
    ports: tuple[str, ...]
    """The settings that hold its ports."""
    needs: tuple[str, ...] = ()
    """What must be ready before it starts."""
    prepare: Callable[[Settings, Work], None] = _nothing
    """What must be on disk before it starts; called only when it is not running."""
    elsewhere: str = ""
    """The setting that, when set, says that it runs elsewhere."""
    group: str = PIPELINE
    """Of which part of the product it is: `up` starts the groups asked for."""
    ready_wait_s: int = 90
    """How long it may take from its start on, on a busy machine."""
    stop_signal: str = "TERM"
    stop_wait_s: int = STOP_WAIT_S
    """How long after its signal it is killed."""
    user: Callable[[], str | None] = lambda: None


def _stage(
    name: str,
    port: str,
    needs: tuple[str, ...] = (),
    module: str = "",
    elsewhere: str = "",
    prepare: Callable[[Settings, Work], None] = _nothing,
    group: str = PIPELINE,
) -> Component:
    """One of the pipeline's own programs, ready when its `/readyz` says so."""

    def address(settings: Settings) -> str:
        there = elsewhere and getattr(settings, elsewhere)
        return str(there or f"http://{settings.host}:{getattr(settings, port)}").rstrip("/")

    async def ready(settings: Settings) -> bool:
        return await answers(f"{address(settings)}/readyz")

    return Component(
        name=name,
        command=lambda _settings: [sys.executable, "-m", module or f"payment_pipeline.{name}"],
        ready=ready,
        address=address,
        ports=(port,),
        needs=needs,
        prepare=prepare,
        elsewhere=elsewhere,
        group=group,
    )


def _train_once(settings: Settings, work: Work) -> None:
    """Train the models when one of them was never trained."""
    if _trained(settings):
        return
    from payment_pipeline.inference import training

    work(training.STEPS, 0)
    training.train(settings, lambda _step: work(0, 1))


def _trained(settings: Settings) -> bool:
    """Whether each model has a version to serve.

    It looks at names alone: the models' own code takes seconds to import, at every start.
    """
    package = find_spec("payment_pipeline.inference.models")
    folder = package.submodule_search_locations if package else None
    names = [module.name for module in pkgutil.iter_modules(folder)]
    return all((var(settings) / "models" / name / "current").is_file() for name in names)


ALL: Final = (
    Component(
        "postgres",
        postgres.command,
        postgres.ready,
        postgres.address,
        ports=("postgres_port",),
        prepare=lambda settings, _work: postgres.prepare(settings),
        elsewhere="postgres_dsn",
        # SIGTERM waits until every client has gone; SIGINT rolls their transactions back.
        stop_signal="INT",
        user=postgres.runs_as,
    ),
    Component(
        "kafka",
        kafka.command,
        kafka.ready,
        lambda settings: settings.kafka,
        ports=("kafka_port", "kafka_controller_port"),
        prepare=kafka.prepare,
        elsewhere="kafka_bootstrap_servers",
    ),
    Component(
        "temporal",
        temporal.command,
        temporal.ready,
        lambda settings: settings.temporal,
        ports=("temporal_port", "temporal_ui_port"),
        prepare=lambda settings, _work: temporal.prepare(settings),
        elsewhere="temporal_address",
    ),
    _stage("inference", "inference_port", elsewhere="inference_url", prepare=_train_once),
    _stage("gateway", "gateway_port", needs=("kafka",)),
    _stage("normalizer", "normalizer_metrics_port", needs=("kafka",)),
    _stage(
        "dispatcher",
        "dispatcher_metrics_port",
        needs=("kafka", "temporal"),
        module="payment_pipeline.orchestrator.dispatcher",
    ),
    _stage(
        "worker",
        "worker_metrics_port",
        needs=("postgres", "kafka", "temporal"),
        module="payment_pipeline.orchestrator.worker",
    ),
    Component(
        "seaweedfs",
        seaweedfs.command,
        seaweedfs.ready,
        lambda settings: settings.s3,
        ports=tuple(seaweedfs.PORTS.values()),
        prepare=lambda settings, _work: seaweedfs.prepare(settings),
        elsewhere="catalog_uri",
        group=LAKEHOUSE,
    ),
    Component(
        "trino",
        trino.command,
        trino.ready,
        lambda settings: settings.trino,
        ports=("trino_port",),
        needs=("seaweedfs",),
        prepare=trino.prepare,
        elsewhere="trino_url",
        group=LAKEHOUSE,
        ready_wait_s=240,
    ),
    _stage(
        "lake-metrics",
        "lake_metrics_port",
        needs=("postgres", "seaweedfs"),
        module="orchestration_dagster.lake.lake_metrics",
        group=LAKEHOUSE,
    ),
    Component(
        "dagster-code",
        lambda _settings: dagster.command("code"),
        dagster.code_ready,
        lambda settings: str(dagster.code_socket(settings)),
        ports=(),
        needs=("postgres",),
        prepare=lambda settings, _work: dagster.prepare(settings),
        group=LAKEHOUSE,
        ready_wait_s=180,
        # Dagster's code server ends its runs at the signal, and never itself.
        stop_wait_s=5,
    ),
    Component(
        "dagster-webserver",
        lambda _settings: dagster.command("webserver"),
        dagster.webserver_ready,
        dagster.address,
        ports=("dagster_port",),
        needs=("dagster-code",),
        group=LAKEHOUSE,
        ready_wait_s=180,
    ),
    Component(
        "dagster-daemon",
        lambda _settings: dagster.command("daemon"),
        dagster.daemon_ready,
        dagster.address,
        ports=(),
        # Its first tick loads and queries.
        needs=("dagster-webserver", "trino"),
        prepare=lambda settings, _work: dagster.prepare_daemon(settings),
        group=LAKEHOUSE,
        ready_wait_s=180,
    ),
    Component(
        "superset",
        superset.command,
        superset.ready,
        superset.address,
        ports=("superset_port",),
        needs=("trino",),
        prepare=superset.prepare,
        group=DASHBOARDS,
        ready_wait_s=180,
    ),
)
BY_NAME: Final = {component.name: component for component in ALL}
STORES: Final = ("postgres", "kafka", "temporal")
ENGINES: Final = ("seaweedfs", "trino")
"""What the lake's loads and queries run on: it stops when they have."""


def chosen(only: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> tuple[Component, ...]:
    """The components asked for and what they need; else the pipeline, and the groups beside it.

    Raises:
        UserError: a name is none of ours.
    """
    if unknown := [name for name in only if name not in BY_NAME]:
        raise UserError(f"No component {', '.join(unknown)}: there are {', '.join(BY_NAME)}.")
    if strange := [name for name in groups if name not in GROUPS]:
        raise UserError(f"No group {', '.join(strange)}: there are {', '.join(GROUPS)}.")
    wanted = set(only)
    if not only:
        wanted = {each.name for each in ALL if each.group in (PIPELINE, *groups)}
    for component in reversed(ALL):
        if component.name in wanted:
            wanted.update(component.needs)
    return tuple(component for component in ALL if component.name in wanted)


def runs_elsewhere(settings: Settings, component: Component) -> bool:
    """Whether the settings say that somebody else runs it."""
    return bool(component.elsewhere and getattr(settings, component.elsewhere))
