"""Forwarded ports: loopback to the gateway and the user interfaces, by `kubectl port-forward`."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Final, NamedTuple

import psutil

from local_stack.files import var
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .cluster_tools import NAMESPACE, found, kubectl_path

START_S_MAX: Final = 20
POLL_S: Final = 0.1


class Forwarded(NamedTuple):
    """A service of the cluster, and the setting of its port on loopback."""

    service: str
    port: int
    setting: str


FORWARDED: Final = (
    Forwarded("gateway", 8000, "gateway_port"),
    Forwarded("temporal", 8233, "temporal_ui_port"),
    Forwarded("dagster", 3000, "dagster_port"),
    Forwarded("superset", 8088, "superset_port"),
    Forwarded("trino", 8443, "trino_port"),
    Forwarded("polaris", 8181, "catalog_port"),
)


def start(settings: Settings) -> None:
    """Forward the port of each service that is deployed. A forwarded port is left alone.

    Raises:
        UserError: a port can't be forwarded, for example because another program has it.
    """
    there = {each["metadata"]["name"] for each in found("services")["items"]}
    _folder(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    already = running(settings)
    for each in FORWARDED:
        if each.service in there and each.service not in already:
            _start(settings, each)


def stop(settings: Settings) -> None:
    """End the processes that forward, and forget them."""
    for each, process in _processes(settings):
        process.terminate()
        process.wait(timeout=10)
        _pid_path(settings, each).unlink(missing_ok=True)


def running(settings: Settings) -> dict[str, str]:
    """The address on loopback of each service whose port is forwarded now."""
    return {each.service: _address(settings, each) for each, _ in _processes(settings)}


def _start(settings: Settings, each: Forwarded) -> None:
    local = getattr(settings, each.setting)
    log = _folder(settings) / f"{each.service}.log"
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [
                kubectl_path(), "--namespace", NAMESPACE, "port-forward", "--address", "127.0.0.1",
                f"service/{each.service}", f"{local}:{each.port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    deadline_s = monotonic() + START_S_MAX
    while "Forwarding from" not in log.read_text():
        if process.poll() is not None or monotonic() > deadline_s:
            process.kill()
            raise UserError(
                f"The port {local} can't be forwarded to {each.service}:",
                exit_code=1,
                output=log.read_text(),
            )
        sleep(POLL_S)
    _pid_path(settings, each).write_text(str(process.pid))


def _processes(settings: Settings) -> Iterator[tuple[Forwarded, psutil.Process]]:
    for each in FORWARDED:
        path = _pid_path(settings, each)
        try:
            process = psutil.Process(int(path.read_text()))
            # A pid may have been reused since.
            if f"service/{each.service}" in process.cmdline():
                yield each, process
        except (OSError, ValueError, psutil.NoSuchProcess):
            continue


def _address(settings: Settings, each: Forwarded) -> str:
    scheme = "https" if each.service == "trino" else "http"
    return f"{scheme}://127.0.0.1:{getattr(settings, each.setting)}"


def _folder(settings: Settings) -> Path:
    return var(settings) / "cluster"


def _pid_path(settings: Settings, each: Forwarded) -> Path:
    return _folder(settings) / f"{each.service}.pid"
