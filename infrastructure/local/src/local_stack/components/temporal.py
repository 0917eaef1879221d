"""Temporal: the development server with its UI."""

import shutil
import sys
from pathlib import Path
from typing import Final

from local_stack.component import Component, Work, command_names, program
from local_stack.files import var
from local_stack.http import answers
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

MODE: Final = "start-dev"
WORKFLOWS_CACHED_MAX: Final = 512
"""Workflows in the server's memory. Its default of 128,000 would let the memory grow for hours.

Far fewer are active at a time. Reviews and recoveries that wait are in the server's file.
"""


def binary() -> Path:
    """The `temporal` program of this environment.

    Raises:
        UserError: this environment has none.
    """
    found = shutil.which("temporal", path=str(Path(sys.executable).parent))
    if not found:
        raise UserError("No temporal program in this environment: run `make setup`.")
    return Path(found)


def command(settings: Settings) -> list[str]:
    """The server's command line.

    - A write-ahead log with `synchronous=NORMAL` survives the death of the process, which is what
      this machine can promise, with far fewer file syncs.
    - `GOGC=400` collects garbage at five times the live memory instead of twice: a sixth less CPU
      for about 170 MB.
    - The server would read the search attributes from its file at every start of a workflow, which
      took a fifth of its CPU. They change only at the first `up`, so it may cache them.
    """
    namespace = settings.temporal_namespace
    named = [] if namespace == "default" else ["--namespace", namespace]
    return [
        "/usr/bin/env", "GOGC=400", str(binary()), "server", MODE,
        "--ip", settings.host,
        "--port", str(settings.temporal_port),
        "--ui-port", str(settings.temporal_ui_port),
        "--db-filename", str(var(settings) / "temporal/temporal.sqlite"),
        "--sqlite-pragma", "journal_mode=wal",
        "--sqlite-pragma", "synchronous=normal",
        "--dynamic-config-value", f"history.hostLevelCacheMaxSize={WORKFLOWS_CACHED_MAX}",
        "--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=false",
        "--log-level", "warn",
        *named,
    ]  # fmt: skip


def prepare(settings: Settings, _work: Work) -> None:
    """Create the folder of the server's file."""
    (var(settings) / "temporal").mkdir(exist_ok=True)


async def ready(settings: Settings) -> bool:
    """Whether the UI shows the pipeline's namespace, which it asks the frontend for.

    The SDK is not used here: a program that ends right after the SDK's last call may abort, because
    a thread of the SDK still waits for the interpreter.
    """
    url = f"http://{settings.host}:{settings.temporal_ui_port}/api/v1/namespaces/"
    return await answers(url + settings.temporal_namespace)


COMPONENT: Final = Component(
    name="temporal",
    order=20,
    command=command,
    ready=ready,
    address=lambda settings: settings.temporal,
    ports=("temporal_port", "temporal_ui_port"),
    prepare=prepare,
    elsewhere=("temporal_address",),
    generated_secrets=("temporal_payload_keys",),
    memory_mib=352,
    disk_mib=256,
    checks=lambda _settings: [program("Temporal", lambda: f"{binary()}")],
    links=lambda settings: {"Temporal UI": settings.temporal_ui},
    recognized=command_names(MODE),
)
