"""Faults of the platform on Kubernetes: rollouts, kills, other numbers of pods, a full volume."""

import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from drills.findings import Findings
from payment_operations.cluster_workloads import KINDS
from support import limited_disk
from support.cluster_traffic import Load
from support.kubernetes import NAMESPACED, Cluster, small_volume
from support.repository import ROOT

PIPELINE: Final = ("gateway", "normalizer", "dispatcher", "worker", "inference")
SCALED: Final = ("statefulset/normalizer", "deployment/worker")
NOT_KILLED: Final = "toolbox"
"""The load runs in it."""
READY_S_MAX: Final = 300.0
FULL_S: Final = 20.0
POLL_S: Final = 0.5
CONTROL_EVENTS: Final = 300

Progress = Callable[[str], None]


def workloads(on: Cluster) -> list[str]:
    """The names of all workloads, without the one that the load runs in."""
    names = on.run(
        "kubectl", *NAMESPACED, "get", KINDS, "--output", "jsonpath={.items[*].metadata.name}"
    )
    return sorted({*names.split()} - {NOT_KILLED})


def roll(on: Cluster, names: Sequence[str], findings: Findings, progress: Progress) -> None:
    """Restart workloads pod by pod, one after another, as an upgrade does."""
    for name in names:
        began = time.monotonic()
        on.run("payments", "cluster", "restart", name)
        progress(f"{name} rolled in {time.monotonic() - began:.1f} s")
    findings.figures["rolled"] = len(names)


def kill(
    on: Cluster,
    names: Sequence[str],
    rng: random.Random,
    findings: Findings,
    progress: Progress,
) -> None:
    """Kill a random pod of each workload without a drain, in random order."""
    for name in rng.sample(sorted(names), len(names)):
        before = pods(on, name)
        killed = rng.choice(sorted(before))
        at_once = ("--grace-period=0", "--force", "--wait=false")
        began = time.monotonic()
        on.run("kubectl", *NAMESPACED, "delete", f"pod/{killed}", *at_once)
        until_ready(on, name, len(before), without=before[killed]["metadata"]["uid"])
        findings.outages_s.append(time.monotonic() - began)
        progress(f"{killed} killed; {name} is ready {findings.outages_s[-1]:.1f} s later")
    findings.figures["killed"] = len(names)


def scale(on: Cluster, progress: Progress) -> None:
    """Change normalizer and worker from one pod to three, and back."""
    for replicas in (3, 1):
        on.run("kubectl", *NAMESPACED, "scale", *SCALED, f"--replicas={replicas}")
        for workload in SCALED:
            until_ready(on, workload.partition("/")[2], replicas)
        progress(f"normalizer and worker have {replicas} pods")


def fill_volume(on: Cluster, findings: Findings, progress: Progress) -> None:
    """Fill the volume of Kafka. Once it has room again, the broker starts."""
    disk = small_volume(on)
    if disk is None:
        progress("NOT TESTED: a full volume, because this cluster is not the tests' own")
        return
    with limited_disk.full(disk):
        time.sleep(FULL_S)
    began = time.monotonic()
    until_ready(on, "kafka", 1)
    until_ready(on, "gateway", len(pods(on, "gateway")))
    progress(f"Kafka's volume was full; ready {time.monotonic() - began:.1f} s after it had room")
    findings.figures["volumes_filled"] = 1


def control(on: Cluster, seed: int) -> dict[str, Any]:
    """The audit after a normalizer that commits before it produces, and ends without a drain."""
    script = ROOT / "tests/drills/controls/early_commit_normalizer.py"
    on.run("kubectl", *NAMESPACED, "create", "configmap", "control", f"--from-file={script}")
    pod = {
        "containers": [
            {
                "name": "normalizer",
                "command": ["python", f"/control/{script.name}"],
                "volumeMounts": [{"name": "control", "mountPath": "/control"}],
            }
        ],
        "volumes": [{"name": "control", "configMap": {"name": "control"}}],
    }
    patch = json.dumps({"spec": {"template": {"spec": pod}}})
    on.run("kubectl", *NAMESPACED, "patch", "statefulset/normalizer", "--patch", patch)
    on.run("kubectl", *NAMESPACED, "delete", "pod/normalizer-0", "--grace-period=5")
    # The first batch of each start is lost. The kubelet starts the container again.
    traffic = Load(on, seed)
    traffic.send(CONTROL_EVENTS)
    return traffic.audit()


def pods(on: Cluster, workload: str) -> dict[str, Any]:
    """The pods of a workload, by name."""
    selector = f"--selector=app.kubernetes.io/name={workload}"
    listed = on.run("kubectl", *NAMESPACED, "get", "pods", selector, "--output", "json")
    return {each["metadata"]["name"]: each for each in json.loads(listed)["items"]}


def until_ready(on: Cluster, workload: str, replicas: int, without: str = "") -> None:
    """Wait until a workload has exactly these pods, all ready.

    Args:
        on: the cluster.
        workload: its name.
        replicas: the number of its pods.
        without: the uid of a pod that must be gone.

    Raises:
        AssertionError: it takes too long.
    """
    deadline = time.monotonic() + READY_S_MAX
    while True:
        found = pods(on, workload).values()
        gone = without not in {each["metadata"]["uid"] for each in found}
        if gone and len(found) == replicas and all(map(_is_ready, found)):
            return
        assert time.monotonic() < deadline, f"{workload} is not ready"
        time.sleep(POLL_S)


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
