"""Stages with a protection taken away, each a process of its own: what a drill has to find."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from local_stack import supervisor
from local_stack.files import var
from local_stack.http import answers
from payment_pipeline.settings import Settings
from support.isolated import free_ports
from support.repository import importing_tests

LISTENS_S_MAX: Final = 30.0
READY_POLL_S: Final = 0.1
ENDS_S_MAX: Final = 10.0


@contextmanager
def running_control(
    settings: Settings, module: str, port_setting: str, **overrides: object
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """`python -m module` on the stack's stores, listening on a port of its own; killed at the end.

    Yields its port and its process.

    Raises:
        RuntimeError: it doesn't start; the sentence has the end of what it said.
    """
    (port,) = free_ports(1)
    own = settings.model_copy(update={port_setting: port, **overrides})
    log = var(settings) / "log" / f"{module.rpartition('.')[2]}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env={
                **os.environ,
                **supervisor.environment(own),
                **importing_tests(),
                supervisor.MARK: str(var(settings)),
            },
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + LISTENS_S_MAX
        while not _listens(settings.host, port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{module} doesn't start: {log.read_text()[-1000:]}")
            time.sleep(0.05)
        yield port, process
    finally:
        process.kill()
        process.wait(ENDS_S_MAX)


async def wait_until_ready(settings: Settings, port: int) -> None:
    """Wait until a gateway takes webhooks: it listens before its producer is connected.

    Raises:
        RuntimeError: it doesn't within `LISTENS_S_MAX`.
    """
    for _ in range(int(LISTENS_S_MAX / READY_POLL_S)):
        if await answers(f"http://{settings.host}:{port}/readyz"):
            return
        await asyncio.sleep(READY_POLL_S)
    raise RuntimeError(f"the gateway on port {port} takes no webhook")


def _listens(host: str, port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((host, port)) == 0
