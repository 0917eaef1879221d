"""Fixtures that start the real components, and the scheduling of the tests that use them.

`stores` is PostgreSQL, Kafka and Temporal, provisioned. `stack` is the whole pipeline. `lakehouse`
is the stores with S3, the Iceberg catalog and Trino. These three share one stack per test run, on
free ports. `fresh_stack` starts a separate stack, for a test that kills processes.

One xdist worker runs all tests of the shared stack, because an audit must not see the events of
another test. The fixtures of a test decide: a file with a test that uses `shared_settings`, even
through another fixture, belongs to that worker. The main process stops the shared stack at the end
of the run, after a failure too.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from local_stack import supervisor
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
"""The shared stack's folder, handed to xdist's workers in their environment."""
COLLECTOR_PORT = "TEST_COLLECTOR_PORT"
"""Where a test may listen for the shared stack's spans: no component's port."""
SHARED_FILES = "files_on_the_shared_stack.json"
"""In the shared stack's folder: the test files that use it, from the workers to the scheduler."""
WORKERS_MAX = 4
"""Each may have a stack with Trino, some 4 GB, beside the shared one."""
PORT_SHARES = 16
"""Of how many processes of a run each has ports that are no other's: the one that pytest was called
in, and xdist's workers. What a stack has not bound yet looks free to the next."""
# A test must not depend on what the developer's shell or .env says.
for name in [name for name in os.environ if name.startswith(("PAYMENTS_", "OTEL_"))]:
    del os.environ[name]
Settings.model_config["env_file"] = None
os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "200"  # ms; spans are waited for


_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw-1")
if isolated.PORTS.step == 1:  # a test that imports from here loads this file once more
    isolated.PORTS = isolated.PORTS[int(_WORKER.removeprefix("gw")) + 1 :: PORT_SHARES]


@pytest.fixture(scope="session")
def shared_settings() -> Settings:
    """The run's shared stack as settings, and as this process's environment.

    It traces the requests that ask for it; a test that wants the spans listens where they are sent.
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
    up(shared_settings)
    return shared_settings


@pytest.fixture(scope="session")
def lakehouse(shared_settings: Settings) -> Settings:
    """The stores, S3 with the Iceberg catalog, and Trino: of the run's shared stack."""
    up(shared_settings, only=(*STORES, "seaweedfs", "trino"))
    return shared_settings


@pytest.fixture(scope="module")
def private_stores() -> Iterator[Settings]:
    """PostgreSQL and Kafka, for one module that leaves in them what no audit may find."""
    with own_stack("postgres", "kafka") as settings:
        yield settings


@pytest.fixture
def fresh_stack() -> Iterator[Callable[..., Settings]]:
    """A maker of stacks of the test's own: `fresh_stack("kafka", gateway_deadline_s=1)`."""
    with ExitStack() as stacks:
        yield lambda *only, **overrides: stacks.enter_context(own_stack(*only, **overrides))


@contextmanager
def own_stack(*only: str, **overrides: object) -> Iterator[Settings]:
    """A stack that is shared with nobody, until the block ends; of `only` these components.

    Its folder is not one of pytest's: another session makes those 0700 again, and PostgreSQL,
    which doesn't run as root, could no longer enter its data.
    """
    with isolated.temporary(None, **overrides) as settings:
        up(settings, only=only)
        yield settings


class ByStack(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives every file that uses the shared stack to one worker, and the others out by file."""

    @cached_property
    def _shared_files(self) -> frozenset[str]:
        return frozenset(json.loads((Path(os.environ[SHARED_VAR]) / SHARED_FILES).read_text()))

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "the shared stack" if file in self._shared_files else file


def pytest_xdist_auto_num_workers() -> int:
    """One a core: a stack at work takes more than one, but a test of it waits half of its time."""
    return min(WORKERS_MAX, os.cpu_count() or 1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByStack:
    """Xdist's hook."""
    return ByStack(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell the scheduler which files use the shared stack: their fixtures say so."""
    shared = {
        item.nodeid.partition("::")[0]
        for item in items
        if "shared_settings" in getattr(item, "fixturenames", ())
    }
    folder = Path(os.environ[SHARED_VAR])
    unfinished = folder / f"{_WORKER}.json"
    unfinished.write_text(json.dumps(sorted(shared)))
    unfinished.replace(folder / SHARED_FILES)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the shared stack's folder, where pytest was called; nothing starts yet."""
    # No server of a test lives long enough to gain from Java's second compiler, which took a third
    # of Trino's CPU. (The benchmarks load this file too, and want both.)
    os.environ["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1"
    if not hasattr(config, "workerinput"):
        os.environ[SHARED_VAR] = tempfile.mkdtemp(prefix=STACK_PREFIX)
        taken = set(stack_settings(Path(os.environ[SHARED_VAR])).public.values())
        free = set[object](free_ports(len(Settings.model_fields)))
        os.environ[COLLECTOR_PORT] = str((free - taken).pop())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the shared stack once every worker is done, after a failure or Ctrl-C too."""
    if hasattr(config, "workerinput"):
        return
    var = Path(os.environ[SHARED_VAR])
    down(stack_settings(var))
    shutil.rmtree(var)
