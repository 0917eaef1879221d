"""The Kubernetes of the tests: the cluster of KUBECONFIG, or one node that the tests start.

The folder that `TEST_CLUSTER_KIT` names (or `../shared/cluster` beside the checkout) holds scripts
that start one node in a network namespace without uplink. There the images are built by podman,
with stand-ins for those of others.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support import container_engine, limited_disk
from support.container_engine import KIT, Engine
from support.manifests import containers, pods
from support.repository import ROOT

TOOLS: Final = ("podman", "containerd", "nsenter", "ip", "iptables", "mmdebstrap", "gcc", "xz")
"""The programs that the node of the kit needs. Its README names the packages."""
PAUSE: Final = "localhost/pause:1"
NAMESPACED: Final = ("--namespace", "lakehouse")
VOLUMES: Final = 8
SMALL: Final = "data-kafka-0"
"""The claim that gets a volume of a limited size, which a drill fills."""
SMALL_MIB: Final = 768
STORAGE_CLASS: Final = "node"


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes cluster that answers."""

    environment: Mapping[str, str]
    inside: tuple[str, ...] = ()
    """The words before a command that calls the cluster or a forwarded port."""

    def run(self, *words: str | Path, ok: bool = True, given: str | None = None) -> str:
        """Run a command in the checkout and return its output.

        Raises:
            AssertionError: it failed, and `ok` is true.
        """
        done = self.started(*words, given=given)
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def started(
        self, *words: str | Path, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout, whether or not it succeeds."""
        return subprocess.run(
            [*self.inside, *words],
            cwd=ROOT,
            env={**_own_environment(), **self.environment},
            input=given or "",
            capture_output=True,
            text=True,
            check=False,
        )


def _own_environment() -> dict[str, str]:
    """The environment without the variables of a `make` that runs these tests, such as ARGS."""
    of_make = {"MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "ARGS"}
    return {name: value for name, value in os.environ.items() if name not in of_make}


def lacking() -> str | None:
    """Why there can be no cluster on this machine; None if there can."""
    if os.environ.get("KUBECONFIG"):
        return None
    if not KIT.is_dir():
        return "KUBECONFIG names no cluster, and TEST_CLUSTER_KIT no kit for one"
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        return f"the node needs root and {', '.join(missing) or 'nothing more'}"
    return None


@contextmanager
def cluster() -> Iterator[Cluster]:
    """The user's own cluster, or one node with all images and volumes."""
    if os.environ.get("KUBECONFIG"):
        yield Cluster({})
        return
    with tempfile.TemporaryDirectory(prefix="payments-k8s-") as name:
        folder = Path(name)
        environment = {
            "CONTAINERS_CONF": str(KIT / "containers/containers.conf"),
            "CONTAINER_ENGINE": "podman",
            "K8S_DIR": str(folder / "run"),
            "K8S_NS": "payments-k8s",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        script = str(KIT / "k8s/cluster.sh")
        machine = Cluster(environment)
        images = _images(machine, folder)
        node = Cluster({**environment, "K8S_IMAGES": str(images)})
        try:
            node.run("bash", script, "up")
            images.unlink()
            started = Cluster(environment, ("bash", script, "exec"))
            with _volumes(started, folder):
                yield started
        finally:
            node.run("bash", script, "down", ok=False)


class OccupiedError(Exception):
    """The cluster has the namespace already: somebody's platform is in it."""


@contextmanager
def deployed(on: Cluster, var: Path) -> Iterator[Cluster]:
    """The platform in the profile dev, ready until the block ends. Then the namespace is removed.

    Args:
        on: where it is deployed.
        var: the folder of `payments`, for the forwarded ports.

    Raises:
        OccupiedError: the namespace exists already. Nothing in it is touched.
    """
    running = Cluster({**on.environment, "PAYMENTS_VAR": str(var)}, on.inside)
    if running.run("kubectl", "get", "namespace", NAMESPACED[1], "--ignore-not-found"):
        raise OccupiedError(f"the cluster has a namespace {NAMESPACED[1]} already")
    try:
        running.run("make", "check", "setup", "PROFILE=dev")
        running.run("make", "deploy", "PROFILE=dev")
        yield running
    finally:
        running.run("make", "destroy", "ARGS=--yes")


def small_volume(on: Cluster) -> Path | None:
    """The folder of the volume of a limited size. None on a user's own cluster."""
    if not on.inside:
        return None
    words = ("get", "persistentvolume", "small", "--output", "jsonpath={.spec.hostPath.path}")
    return Path(on.run("kubectl", *words))


def _images(machine: Cluster, folder: Path) -> Path:
    """Build our images and the stand-ins, and the node's own; return the archive of all."""
    wanted = {c["image"] for pod in pods("dev").values() for c in containers(pod)}
    names = [PAUSE, *(f"docker.io/{_with_folder(name)}" for name in sorted(wanted))]
    container_engine.build(Engine(machine.environment), folder, names)
    machine.run("gcc", "-static", "-o", folder / "pause", KIT / "k8s/pause.c")
    machine.run("tar", "--create", "--directory", folder, "--file", folder / "pause.tar", "pause")
    entry = 'ENTRYPOINT ["/pause"]'
    machine.run("podman", "import", "--change", entry, folder / "pause.tar", PAUSE)
    archive = folder / "images.tar"
    machine.run("podman", "save", "--format", "docker-archive", "-m", "--output", archive, *names)
    return archive


def _with_folder(image: str) -> str:
    """The official images of the public registry are in the folder `library`."""
    return image if "/" in image else f"library/{image}"


@contextmanager
def _volumes(on: Cluster, folder: Path) -> Iterator[None]:
    """Volumes in folders of the node: it makes none itself, as kind and minikube do."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    objects: list[object] = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": STORAGE_CLASS, "annotations": default},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    ]
    volumes = folder / "volumes"
    volumes.mkdir(mode=0o755)
    for number in range(VOLUMES):
        (volumes / str(number)).mkdir()
        (volumes / str(number)).chmod(0o777)  # a pod's user is none of this machine
        objects.append(_volume(f"node-{number}", volumes / str(number)))
    folder.chmod(0o755)
    with limited_disk.limited(volumes / "small", SMALL_MIB, mode="0777"):
        objects.append(_volume("small", volumes / "small", SMALL))
        every = {"apiVersion": "v1", "kind": "List", "items": objects}
        on.run("kubectl", "apply", "--server-side", "--filename", "-", given=json.dumps(every))
        yield


def _volume(name: str, path: Path, claim: str | None = None) -> object:
    reserved = {"claimRef": {"namespace": "lakehouse", "name": claim}} if claim else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(path)},
            **reserved,
        },
    }
