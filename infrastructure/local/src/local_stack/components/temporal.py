"""Temporal: the development server with its UI, its command line and its readiness."""

import shutil
import sys
from pathlib import Path
from typing import Final

from local_stack.component import Component, command_names, program
from local_stack.files import var
from local_stack.http import answers
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

SERVER: Final = "start-dev"
WORKFLOWS_CACHED_MAX: Final = 512
"""Kept in the server's memory, where its default of 128,000 would let it grow for hours. Under way
are far fewer; reviews and recoveries sleep in the file."""


def binary() -> Path:
    """The `temporal` program of this environment.

    Raises:
        UserError: the environment lacks it.
    """
    found = shutil.which("temporal", path=str(Path(sys.executable).parent))
    if not found:
        raise UserError("No temporal program in this environment: run `make setup`.")
    return Path(found)


def command(settings: Settings) -> list[str]:
    """The server's command line.

    A write-ahead log with synchronous=NORMAL survives the death of the process, which is what this
    machine can promise, at a fraction of the file syncs. Garbage is collected at five times the
    live memory instead of twice: a sixth less CPU for about 170 MB. Which search attributes there
    are it would ask its file at every start of a workflow, a fifth of its CPU; they change at no
    time but the first `up`.
    """
    namespace = settings.temporal_namespace
    named = [] if namespace == "default" else ["--namespace", namespace]
    return [
        "/usr/bin/env", "GOGC=400", str(binary()), "server", SERVER,
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


def prepare(settings: Settings) -> None:
    """Create the folder of the server's file."""
    (var(settings) / "temporal").mkdir(exist_ok=True)


async def ready(settings: Settings) -> bool:
    """Whether the UI shows the pipeline's namespace, which it asks the frontend for.

    The SDK would do as well, but a program that ends right after its last call may abort: a thread
    of the SDK's still waits for the interpreter that is no more.
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
    is_store=True,
    prepare=lambda settings, _work: prepare(settings),
    elsewhere="temporal_address",
    memory_mib=lambda _settings: 256,
    disk_mib=256,
    checks=lambda _settings: (program("Temporal", lambda: f"{binary()}"),),
    recognized=command_names(SERVER),
)
