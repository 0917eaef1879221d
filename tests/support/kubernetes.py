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

from support import container_engine
from support.container_engine import KIT, Engine
from support.manifests import containers, pods
from support.repository import ROOT

TOOLS: Final = ("podman", "containerd", "nsenter", "ip", "iptables", "mmdebstrap", "gcc", "xz")
"""The programs that the node of the kit needs. Its README names the packages."""
PAUSE: Final = "localhost/pause:1"
VOLUMES: Final = 8
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
            env={**os.environ, **self.environment},
            input=given or "",
            capture_output=True,
            text=True,
            check=False,
        )


def lacking() -> str | None:
    """Why there can be no cluster on this machine; None if there can."""
    if os.environ.get("KUBECONFIG"):
        return None
    if not KIT.is_dir():
        return "KUBECONFIG names no cluster"
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
            _add_volumes(started, folder)
            yield started
        finally:
            node.run("bash", script, "down", ok=False)


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


def _add_volumes(on: Cluster, folder: Path) -> None:
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
    for number in range(VOLUMES):
        path = folder / f"volumes/{number}"
        path.mkdir(parents=True)
        path.chmod(0o777)  # a pod's user is none of this machine
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"node-{number}"},
                "spec": {
                    "capacity": {"storage": "20Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": STORAGE_CLASS,
                    "persistentVolumeReclaimPolicy": "Retain",
                    "hostPath": {"path": str(path)},
                },
            }
        )
    (folder / "volumes").chmod(0o755)
    folder.chmod(0o755)
    every = {"apiVersion": "v1", "kind": "List", "items": objects}
    on.run("kubectl", "apply", "--server-side", "--filename", "-", given=json.dumps(every))
