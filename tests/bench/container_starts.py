"""`make compose-starts`: the time from the start of each service's container until it is ready.

Needs a running Compose, and restarts each service of ours once. The container's own health check is
repeated without a pause, so a value includes one more answer of it. Beside each value is what a
container of the same image takes that only asks that check, as the part that no service can save.
"""

import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any, Final

import yaml
from rich.console import Console

from bench.figure import Figure
from bench.run import table
from support.repository import ROOT
from support.wide_console import wide_console

COMPOSE: Final = ROOT / "infrastructure/compose/compose"
FILE: Final = yaml.safe_load((ROOT / "infrastructure/compose/compose.yaml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = {
    name: each
    for name, each in FILE["services"].items()
    if "payments-ready" in each.get("healthcheck", {}).get("test", ())
}
"""The services of ours that say whether they are ready."""
READY_S_MAX: Final = 5.0
GIVE_UP_S: Final = 120.0


class NotMeasuredError(Exception):
    """A service is not running, or did not become ready; the text says which."""


def main() -> int:
    """Print the table.

    Returns:
        The exit code: 0, or 1 when no Compose runs or a service did not become ready.
    """
    try:
        figures = [figure(name) for name in SERVICES if container(name)]
    except NotMeasuredError as reason:
        Console(stderr=True).print(f"bench: {reason}")
        return 1
    if not figures:
        Console(stderr=True).print("bench: no service runs in Compose: run `make compose-up`.")
        return 1
    wide_console().print(table([asdict(each) for each in figures]))
    return 0


def figure(service: str) -> Figure:
    """Restart a service, and measure until it is ready."""
    name = container(service)
    check = SERVICES[service]["healthcheck"]["test"][1:]
    image = docker("inspect", "--format", "{{.Config.Image}}", name).stdout.strip()
    began = time.monotonic()
    docker("run", "--rm", "--network", "none", "--entrypoint", check[0], image, *check[1:])
    bare_s = time.monotonic() - began
    docker("stop", name)
    began = time.monotonic()
    docker("start", name)
    while docker("exec", name, *check).returncode:
        if time.monotonic() - began > GIVE_UP_S:
            raise NotMeasuredError(f"{service} was not ready after {GIVE_UP_S:.0f} s.")
    value_s = time.monotonic() - began
    return Figure(
        name=f"{service}, start to ready",
        value=round(value_s, 1),
        unit="s",
        reference="container that only asks the check",
        reference_value=round(bare_s, 1),
        ratio=round(value_s / bare_s, 1),
        target=READY_S_MAX,
        met=value_s <= READY_S_MAX,
    )


def container(service: str) -> str:
    """The id of a service's container; empty if it does not run."""
    done = subprocess.run(
        [COMPOSE, "ps", "--quiet", service], capture_output=True, text=True, check=False
    )
    if done.returncode and done.stderr:
        raise NotMeasuredError(done.stderr.strip().splitlines()[-1])
    return done.stdout.strip()


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of docker."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
