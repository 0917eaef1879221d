"""Fixtures that start the real components, and the scheduling of the tests that use them.

`stores` is PostgreSQL, Kafka and Temporal, provisioned. `stack` is the whole pipeline. `lakehouse`
is the stores with S3, the Iceberg catalog and Trino. These three share one stack per test run, on
free ports. `rough_stack` is a second one, for tests that kill processes or start every component.
`fresh_stack` starts a separate stack for one test.

One xdist worker runs all tests of the shared stack, because an audit must not see the events of
another test. The fixtures of a test decide: a file with a test that uses `shared_settings`, even
through another fixture, belongs to that worker. `rough_stack` has its worker in the same way. The
main process stops the shared stack at the end of the run, even after a failure.

The scopes with the longest time limits run first, then the others with real components, then pure
tests. So no worker is left alone with a long scope when the others have nothing left to do.
"""

import gc
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from local_stack import files, supervisor
from local_stack.components import inference
from local_stack.stack import down
from payment_operations.stack_start import up
from payment_pipeline import settings as settings_module
from payment_pipeline.settings import Settings
from support import isolated
from support.isolated import free_ports
from support.isolated import settings as stack_settings

__all__ = ["free_ports", "stack_settings"]

STORES = ("postgres", "kafka", "temporal")
STACK_PREFIX = "payments-test-"
SHARED_VAR = "TEST_STACK_VAR"
"""Environment variable with the folder of the shared stack. The xdist workers inherit it."""
COLLECTOR_PORT = "TEST_COLLECTOR_PORT"
"""Environment variable with the port where a test may listen for spans of the shared stack."""
SCOPES = "scopes.json"
"""File in the shared stack's folder: the workers tell the scheduler the scope of each file."""
TOGETHER = {
    "shared_settings": "the shared stack",
    "rough_stack": "the rough stack",
    "train_again": "the trained models",
    "history": "the trained models",
}
"""Fixture that takes long → name of the scope. All files with this fixture go to one worker."""
LIMIT_S = 300
"""The time limit of a test without the marker `timeout`, as in `pyproject.toml`."""
WORKERS_MAX = 4
"""Each worker may have a separate stack with Trino (about 4 GB), besides the shared stack."""
PORT_SHARES = 16
"""Number of processes in one run that get separate ports: pytest itself and the xdist workers.

Without separate ports, a port that a stack has chosen but not yet bound would look free to another.
"""
# A test must not depend on the developer's environment or .env.
for name in [name for name in os.environ if name.startswith(("PAYMENTS_", "OTEL_"))]:
    del os.environ[name]
Settings.model_config["env_file"] = None
os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "200"  # ms; some tests wait for spans


_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw-1")
if isolated.PORTS.step == 1:  # a test that imports this file executes it a second time
    isolated.PORTS = isolated.PORTS[int(_WORKER.removeprefix("gw")) + 1 :: PORT_SHARES]


@pytest.fixture(scope="session")
def shared_settings() -> Settings:
    """Return the settings of the shared stack, and set this process's environment to them.

    The stack traces only requests that ask for it. A test that needs the spans listens on
    `COLLECTOR_PORT`.
    """
    endpoint = f"http://127.0.0.1:{os.environ[COLLECTOR_PORT]}"
    settings = stack_settings(Path(os.environ[SHARED_VAR]), otlp_endpoint=endpoint, trace_ratio=0)
    os.environ.update(supervisor.environment(settings))
    settings_module.load.cache_clear()
    return settings


@pytest.fixture(scope="session")
def stores(shared_settings: Settings) -> Settings:
    """PostgreSQL, Kafka and Temporal, provisioned."""
    up(shared_settings, only=STORES)
    return shared_settings


@pytest.fixture(scope="session")
def stack(shared_settings: Settings) -> Settings:
    """The whole pipeline, ready."""
    trained_models()
    up(shared_settings)
    return shared_settings


@pytest.fixture(scope="session")
def lakehouse(shared_settings: Settings) -> Settings:
    """The stores, S3 with the Iceberg catalog, and Trino, on the shared stack."""
    up(shared_settings, only=(*STORES, "seaweedfs", "trino"))
    return shared_settings


@pytest.fixture(scope="module")
def private_stores() -> Iterator[Settings]:
    """Separate PostgreSQL and Kafka, for a module that leaves data which no audit may find."""
    with own_stack("postgres", "kafka") as settings:
        yield settings


@pytest.fixture(scope="session")
def rough_stack() -> Iterator[Settings]:
    """A stack whose processes a test may kill. A test starts what it needs, and no component is up.

    Its tests run one after another. A test that starts Dagster stops it again. Otherwise Dagster
    would load and model the events of later tests each minute.
    """
    with isolated.temporary(trained_models()) as settings:
        yield settings


@pytest.fixture
def fresh_stack() -> Iterator[Callable[..., Settings]]:
    """A function that starts separate stacks: `fresh_stack("kafka", gateway_deadline_s=1)`."""
    with ExitStack() as stacks:
        yield lambda *only, **overrides: stacks.enter_context(own_stack(*only, **overrides))


@contextmanager
def own_stack(*only: str, **overrides: object) -> Iterator[Settings]:
    """Start a separate stack with the given components, or all, and stop it when the block ends."""
    models = trained_models() if not only or "inference" in only else None
    with isolated.temporary(models, **overrides) as settings:
        up(settings, only=only)
        yield settings


def trained_models() -> Path:
    """Return the folder of the shared stack's models, trained once per run for all stacks."""
    shared = stack_settings(Path(os.environ[SHARED_VAR]))
    models = shared.var / "models"
    with files.exclusive(shared.var / "models.lock"):
        inference.prepare(shared, lambda _more, _done: None)
    return models


class ByScope(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives all files of a scope to one worker, and spreads the scopes."""

    @cached_property
    def _scopes(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((Path(os.environ[SHARED_VAR]) / SCOPES).read_text())
        return found

    def _split_scope(self, nodeid: str) -> str:
        return self._scopes[_file(nodeid)]


def pytest_xdist_auto_num_workers() -> int:
    """Use one worker per core: a busy stack needs more, but its tests wait half of the time."""
    return min(WORKERS_MAX, os.cpu_count() or 1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByScope:
    """Use `ByScope` as the scheduler, in the order of `pytest_collection_modifyitems`."""
    config.option.loadscopereorder = False
    return ByScope(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Import the tests without garbage collection: imports make hardly any garbage.

    In a worker, the garbage collector also skips the imported modules later. In the main process it
    must not: Hypothesis, imported when the run ends, could not see them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        if hasattr(session.config, "workerinput"):
            gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tell the scheduler the scope of each file, and put the longest scopes first."""
    if not hasattr(config, "workerinput"):
        return
    scopes: dict[str, str] = {}
    for item in items:
        file, used = _file(item.nodeid), getattr(item, "fixturenames", ())
        scope = next((name for fixture, name in TOGETHER.items() if fixture in used), None)
        scopes[file] = scope or scopes.get(file, file)
    unfinished = Path(os.environ[SHARED_VAR]) / f"{_WORKER}.json"
    unfinished.write_text(json.dumps(scopes))
    unfinished.replace(unfinished.with_name(SCOPES))
    costs: dict[str, Cost] = {}
    for item in items:
        scope = scopes[_file(item.nodeid)]
        costs[scope] = costs.get(scope, Cost()).with_test(item)
    order = sorted(costs, key=costs.__getitem__, reverse=True)
    place = {scope: number for number, scope in enumerate(order)}
    items.sort(key=lambda item: place[scopes[_file(item.nodeid)]])


class Cost(NamedTuple):
    """A guess how long a scope takes. Of two scopes, the greater one takes longer."""

    limit_s_max: float = 0
    """The greatest time limit of its tests."""
    needs_components: bool = False
    limits_s: float = 0
    """The sum of the time limits of its tests."""

    def with_test(self, item: pytest.Item) -> "Cost":
        """Return the cost with one more test."""
        marker = item.get_closest_marker("timeout")
        limit_s = marker.args[0] if marker else LIMIT_S
        return Cost(
            max(self.limit_s_max, limit_s),
            self.needs_components or item.get_closest_marker("stack") is not None,
            self.limits_s + limit_s,
        )


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs the tests on stacks of `payments up --secure`."""
    parser.addoption("--secure", action="store_true", help="run the tests on secure stacks")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder of the shared stack in the main process. Nothing starts yet."""
    isolated.secure = config.getoption("secure")
    # Java's second compiler took a third of Trino's CPU, and the servers of tests do not run long
    # enough to gain from it. The benchmarks import this file too, but do not run this hook.
    os.environ["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1"
    # structlog's default draws each traceback with all local variables, which takes two seconds.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])
    if not hasattr(config, "workerinput"):
        os.environ[SHARED_VAR] = tempfile.mkdtemp(prefix=STACK_PREFIX)
        taken = set(stack_settings(Path(os.environ[SHARED_VAR])).public.values())
        free = set[object](free_ports(len(Settings.model_fields)))
        os.environ[COLLECTOR_PORT] = str((free - taken).pop())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the shared stack once every worker is done, even after a failure or Ctrl-C."""
    if hasattr(config, "workerinput"):
        return
    var = Path(os.environ[SHARED_VAR])
    down(stack_settings(var))
    shutil.rmtree(var)
