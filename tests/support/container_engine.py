"""The container engine of the tests: the machine's own Docker, or one that the tests start.

Where a machine has no Docker and no image registry, the folder that `TEST_CLUSTER_KIT` names (or
`../shared/cluster` beside the checkout) holds scripts that start one in a network namespace without
uplink. There the images are built by podman, with stand-ins for those of others.
"""

import logging
import lzma
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import psutil

from support.container_images import STAND_INS, build_stand_ins
from support.repository import ROOT

KIT: Final = Path(os.environ.get("TEST_CLUSTER_KIT") or ROOT.parent / "shared/cluster")
TOOLS: Final = ("podman", "dockerd", "nsenter", "ip", "mmdebstrap", "xz", "prometheus")
"""The programs that the engine of the kit needs. Its README names the packages."""
BASES: Final = {
    "docker.io/library/python:3.13-slim-trixie": "trixie",
    "docker.io/library/python:3.11-slim-bookworm": "bookworm",
}
"""The images that ours are built on, and the Debian that each is of."""
OURS: Final = ("pipeline", "dagster", "superset")
BASE_PACKAGES: Final = "python3,python3-venv,python3-pip,ca-certificates"
CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
BUILD_OPTIONS: Final = (
    *("--network", "host", "--pull=never", "--format", "docker"),
    *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--env", f"PIP_CERT={CERTIFICATES}"),
)
"""A build gets the authorities of the machine as a volume: the Dockerfiles know nothing of them."""
NAMESPACE: Final = f"payments-test-{os.getpid()}"
"""Two tests may run at once, each with an engine of its own."""
STOP_S_MAX: Final = 30
log = logging.getLogger(__name__)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Log how long a step of a test took. `make test-compose` prints the lines."""
    began = time.monotonic()
    yield
    log.info("%s: %.0f s", name, time.monotonic() - began)


@dataclass(frozen=True)
class Engine:
    """A container engine that answers."""

    environment: Mapping[str, str]
    inside: tuple[str, ...] = ()
    """The words before a command that must reach a published port."""

    def run(
        self, *words: str | Path, inside: bool = False, ok: bool = True, given: Path | None = None
    ) -> str:
        """Run a command in the checkout and return its output.

        Args:
            words: the command.
            inside: whether it calls a published port.
            ok: whether it must succeed.
            given: the file that it reads as its standard input.

        Raises:
            AssertionError: it failed, and `ok` is true.
        """
        with (given or Path(os.devnull)).open() as read:
            done = subprocess.run(
                [*(self.inside if inside else ()), *words],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=read,
                capture_output=True,
                text=True,
                check=False,
            )
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def lacking() -> str | None:
    """Why there can be no engine on this machine; None if there can."""
    if answers({}):
        return None
    if not KIT.is_dir():
        return "no Docker with Compose answers"
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        return f"the engine needs root and {', '.join(missing) or 'nothing more'}"
    return None


def answers(environment: Mapping[str, str]) -> bool:
    """Whether a Docker with Compose answers."""
    if shutil.which("docker") is None:
        return False
    return all(
        subprocess.run(
            ["docker", *words],
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
        ).returncode
        == 0
        for words in (("info",), ("compose", "version"))
    )


@contextmanager
def engine() -> Iterator[Engine]:
    """The machine's own engine, or one of the kit, with all images."""
    if answers({}):
        own = Engine({})
        with step("build our images"):
            own.run(ROOT / "infrastructure/images/build")
        yield own
        return
    with tempfile.TemporaryDirectory(prefix="payments-docker-") as name:
        folder = Path(name)
        environment = {
            "CONTAINERS_CONF": str(KIT / "containers/containers.conf"),
            "CONTAINER_ENGINE": "podman",
            "DOCKER_CONFIG": str(folder / "config"),
            "DOCKER_DIR": str(folder),
            "DOCKER_HOST": f"unix://{folder}/docker.sock",
            "INFRA_NS": NAMESPACE,
        }
        started = Engine(environment, ("nsenter", f"--net=/run/netns/{NAMESPACE}"))
        _unpack_compose(folder / "config")
        started.run("bash", KIT / "netns.sh", "up")
        try:
            images = [*map(image, OURS), *STAND_INS]
            build(started, folder, images)
            started.run("bash", KIT / "containers/dockerd.sh", "up")
            with step("load the images"):
                _load(started, images)
            yield started
        finally:
            _stop(folder)
            started.run("bash", KIT / "netns.sh", "down", ok=False)


def _unpack_compose(config: Path) -> None:
    """Make the folder of the client's configuration, with Compose as its plugin."""
    target = config / "cli-plugins/docker-compose"
    target.parent.mkdir(parents=True)
    (config / "config.json").write_text("{}")  # podman wants it to be there
    with lzma.open(KIT / "containers/docker-compose-v2.xz") as packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file)
    target.chmod(0o755)


def build(on: Engine, folder: Path, images: Collection[str]) -> None:
    """Build images with podman: ours and stand-ins. `folder` is for what is made meanwhile."""
    with step("make the base images"):
        for base, debian in BASES.items():
            if not on.run("podman", "images", "--quiet", base):
                archive = folder / "base.tar"
                include = f"--include={BASE_PACKAGES}"
                on.run("mmdebstrap", "--quiet", "--variant=minbase", include, debian, archive)
                on.run("podman", "import", "--change", 'CMD ["python3"]', archive, base)
                archive.unlink()
    with step("build our images"):
        ours = " ".join(name for name in OURS if image(name) in images)
        building = Engine({**on.environment, "IMAGES": ours})
        building.run(ROOT / "infrastructure/images/build", *BUILD_OPTIONS)
    os.environ["CONTAINERS_CONF"] = on.environment["CONTAINERS_CONF"]
    with step("build the stand-ins"):
        build_stand_ins(["podman", "build", *BUILD_OPTIONS], STAND_INS.keys() & {*images})


def image(name: str) -> str:
    """The full name of one of our images, with its tag."""
    return f"docker.io/payments/{name}:{metadata.version('payment-pipeline')}"


def _load(on: Engine, images: Collection[str]) -> None:
    """Bring images from podman to the engine, through a pipe."""
    environment = {**os.environ, **on.environment}
    save = ("podman", "save", "--format", "docker-archive", "-m", "--output", "/dev/stdout")
    with subprocess.Popen([*save, *images], stdout=subprocess.PIPE, env=environment) as saved:
        loaded = subprocess.run(
            ["docker", "load", "--quiet"],
            stdin=saved.stdout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert saved.returncode == 0
    assert loaded.returncode == 0, loaded.stderr


def _stop(folder: Path) -> None:
    """Stop the engine and unmount what it leaves."""
    pid = folder / "dockerd.pid"
    if pid.exists():
        daemon = psutil.Process(int(pid.read_text()))
        daemon.terminate()
        daemon.wait(STOP_S_MAX)
    deadline = time.monotonic() + STOP_S_MAX
    mounts = [each.mountpoint for each in psutil.disk_partitions(all=True)]
    for mounted in sorted((each for each in mounts if each.startswith(str(folder))), reverse=True):
        while time.monotonic() < deadline:
            with suppress(subprocess.CalledProcessError):
                subprocess.run(["umount", mounted], check=True, capture_output=True)
                break
            time.sleep(0.2)
