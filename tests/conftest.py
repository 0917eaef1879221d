"""Which real components does a test get, and who stops them?

`stores` is PostgreSQL, Kafka and Temporal, provisioned; `stack` is the whole pipeline; `lakehouse`
is the stores with S3, the Iceberg catalog and Trino: one of each a run, on ports of its own.
`fresh_stack` makes one for a test that kills processes. Of xdist's workers one has all tests of the
shared stack, for an audit must not see what another test does meanwhile. The process that pytest
was called in stops it, whatever happened.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from local_stack import supervisor
from local_stack.stack import down, up
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
ON_THE_SHARED_STACK = {"integration", "e2e"}
WITHOUT_IT = {
    *("test_claims", "test_erasure", "test_gateway", "test_inference", "test_ledger"),
    *("test_normalizer", "test_orchestrator_workflows", "test_replay", "test_wheel"),
}
"""Files there whose stacks are their own."""
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
    """All tests of the shared stack are one worker's; what is left goes to the workers by file."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.partition("::")[0])
        shared = ON_THE_SHARED_STACK.intersection(path.parts) and path.stem not in WITHOUT_IT
        return "the shared stack" if shared else str(path)


def pytest_xdist_auto_num_workers() -> int:
    """One a core: a stack at work takes more than one, but a test of it waits half of its time."""
    return min(WORKERS_MAX, os.cpu_count() or 1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByStack:
    """Xdist's hook."""
    return ByStack(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test that another worker would run beside those of the shared stack."""
    for item in items:
        if item.path.stem in WITHOUT_IT and "shared_settings" in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(f"{item.nodeid} is on the shared stack: see WITHOUT_IT")


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
