"""Controls: stages without a protection, each in a separate process. Drills must detect them."""

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
) -> Iterator[tuple[int, subprocess.Popen[bytes], int]]:
    """Run `python -m module` on the stack's stores and on free ports, and kill it at the end.

    Yields the port, the process, and the port of a gateway's probes.

    Raises:
        RuntimeError: the process does not start. The message has the end of its log.
    """
    port, probes = free_ports(2)
    ports = {"gateway_metrics_port": probes, port_setting: port}
    own = settings.model_copy(update={**ports, **overrides})
    log = var(settings) / "log" / f"{module.rpartition('.')[2]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env={
                **os.environ,
                **supervisor.environment(own),
                **importing_tests(),
                supervisor.MARK: str(var(settings)),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + LISTENS_S_MAX
        while not _listens(settings.host, port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{module} does not start. Its log: {log.read_text()[-1000:]}")
            time.sleep(0.05)
        yield port, process, probes
    finally:
        process.kill()
        process.wait(ENDS_S_MAX)


async def wait_until_ready(settings: Settings, probes: int) -> None:
    """Wait until the gateway with this port of its probes is ready.

    A gateway listens before its producer is connected.

    Raises:
        RuntimeError: the gateway is not ready within `LISTENS_S_MAX`.
    """
    for _ in range(int(LISTENS_S_MAX / READY_POLL_S)):
        if await answers(f"http://{settings.host}:{probes}/readyz"):
            return
        await asyncio.sleep(READY_POLL_S)
    raise RuntimeError(
        f"The gateway (probes on {probes}) is not ready after {LISTENS_S_MAX:.0f} s."
    )


def _listens(host: str, port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((host, port)) == 0
