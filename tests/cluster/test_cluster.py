"""The pipeline on Kubernetes: from a signed event to bronze, rolled under load, and no rest.

On the kit's node the images of others are stand-ins (`support.container_images`). Then this proves
our charts, commands and images, and not those images.
"""

import json
import os
import random
import re
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from support import kubernetes
from support.kubernetes import Cluster
from support.manifests import manifests
from support.repository import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.containers, pytest.mark.timeout(900)]

EVENTS: Final = 5000
RATE: Final = 60
"""Events a second while pods are restarted or killed."""
KILLS: Final = 3
"""Pods that are killed before and after the numbers of pods change."""
IN_NAMESPACE: Final = ("--namespace", "lakehouse")
SERVICES: Final = ("gateway", "normalizer", "dispatcher", "worker", "inference")
CRD_MODULES: Final = {
    "github.com/kedacore/keda/v2@v2.21.0": "config/crd/bases",
    "github.com/external-secrets/external-secrets@v0.16.2": "config/crds/bases",
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd"
    ),
}
"""The folder of the custom resource definitions in the Go modules of some operators."""
MORE_CRDS: Final = "TEST_CRDS"
"""Environment variable with a folder of definitions of the other operators."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := kubernetes.lacking():
        pytest.skip(f"NOT TESTED: Kubernetes. {reason}")
    with kubernetes.cluster() as found:
        yield found


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The pipeline in the profile dev, ready; nothing of it is left at the end."""
    var = tmp_path_factory.mktemp("cluster") / "var"
    running = Cluster({**cluster.environment, "PAYMENTS_VAR": str(var)}, cluster.inside)
    try:
        running.run("make", "check", "setup", "PROFILE=dev")
        running.run("make", "deploy", "PROFILE=dev")
        yield running
    finally:
        running.run("make", "destroy", "ARGS=--yes")
    every = "deployments,statefulsets,jobs,pods,services,secrets,persistentvolumeclaims"
    left = running.run("kubectl", "get", every, "--namespace", "lakehouse", "--output", "name")
    assert left == ""
    assert running.run("kubectl", "get", "namespace", "lakehouse", "--ignore-not-found") == ""


def audit(on: Cluster, *more: str) -> dict[str, Any]:
    words = ("audit", "--through", "bronze", "--json", "--wait", "90", *more)
    done = on.started("payments", "cluster", "exec", *words)  # it ends with 1 if it is not clean
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def signing_secret(on: Cluster) -> str:
    path = "jsonpath={.data.webhook_secrets_stripe}"
    words = ("get", "secret", "payments-secrets", "--namespace", "lakehouse", "--output", path)
    return b64decode(on.run("kubectl", *words)).decode()


def test_each_event_through_the_forwarded_port_is_at_its_destination(
    deployed: Cluster, tmp_path: Path
) -> None:
    assert "gateway" in deployed.run("make", "port-forward-start")
    sender = Cluster(
        {**deployed.environment, "PAYMENTS_WEBHOOK_SECRETS_STRIPE": signing_secret(deployed)},
        deployed.inside,
    )
    ledger = tmp_path / "ledger.jsonl"
    sent = ("--duplicates", "0.05", "--malformed", "0.02", "--bad-signature", "0.02")
    sender.run("payments", "simulate", "--events", str(EVENTS), *sent, "--ledger", ledger)
    deployed.run("make", "port-forward-stop")
    copy = ("exec", "--stdin", "deploy/toolbox", "--", "sh", "-c", "cat >/tmp/ledger.jsonl")
    deployed.run("kubectl", "--namespace", "lakehouse", *copy, given=ledger.read_text())
    found = audit(deployed, "--client-ledger", "/tmp/ledger.jsonl")
    assert found["ok"], found
    assert found["stages"]["bronze"]["events"] > EVENTS * 0.9


@contextmanager
def load(on: Cluster, events: int, seed: int) -> Iterator[Future[str]]:
    """Send from a pod while the block runs; at its end, wait until all is sent."""
    toolbox = ("kubectl", *IN_NAMESPACE, "exec", "--stdin", "deploy/toolbox", "--", "python", "-")
    words = ("--events", str(events), "--rate", str(RATE), "--seed", str(seed))
    script = (ROOT / "tests/support/send_in_cluster.py").read_text()
    with ThreadPoolExecutor() as threads:
        sending = threads.submit(on.run, *toolbox, *words, given=script)
        yield sending
        sending.result()


def test_a_restart_of_each_service_under_load_loses_nothing(deployed: Cluster) -> None:
    before = audit(deployed)["stages"]["bronze"]["events"]
    with load(deployed, 3000, seed=7):
        deployed.run("payments", "cluster", "restart", *SERVICES)
    found = audit(deployed)
    assert found["ok"], found
    assert found["stages"]["bronze"]["events"] > before + 2500
    assert "not ready" not in deployed.run("make", "status")


def test_killed_pods_and_other_numbers_of_pods_lose_nothing(deployed: Cluster) -> None:
    """Normalizer and worker go from one pod to three and back. Random pods are killed meanwhile."""
    rng, killed = random.Random(11), 0
    scaled = ("statefulset/normalizer", "deployment/worker")
    with load(deployed, 4000, seed=11) as sending:
        for replicas in (3, 1):
            deployed.run("kubectl", *IN_NAMESPACE, "scale", *scaled, f"--replicas={replicas}")
            for _ in range(KILLS):
                ours = "--selector=app.kubernetes.io/part-of=payments"
                pods = ("get", "pods", ours, "--field-selector=status.phase=Running")
                named = deployed.run("kubectl", *IN_NAMESPACE, *pods, "--output=name").split()
                chosen = rng.choice([pod for pod in sorted(named) if "/toolbox" not in pod])
                at_once = ("--grace-period=0", "--force", "--wait=false", "--ignore-not-found")
                deployed.run("kubectl", *IN_NAMESPACE, "delete", chosen, *at_once)
                killed += 1
                for name in SERVICES:
                    kind = "statefulset" if name == "normalizer" else "deployment"
                    ready = ("rollout", "status", f"{kind}/{name}", "--timeout=120s")
                    deployed.run("kubectl", *IN_NAMESPACE, *ready)
        assert not sending.done(), "the load ended before the faults"
    found = audit(deployed)
    assert found["ok"], found
    assert killed == 2 * KILLS


def test_a_second_deployment_changes_nothing_and_keeps_the_secrets(deployed: Cluster) -> None:
    before = signing_secret(deployed)
    pods = ("get", "pods", "--namespace", "lakehouse", "--output", "name")
    running = {*deployed.run("kubectl", *pods).split()}
    deployed.run("make", "deploy", "PROFILE=dev")
    assert signing_secret(deployed) == before
    assert {*deployed.run("kubectl", *pods).split()} == running


def test_a_pod_that_is_not_restricted_is_refused(deployed: Cluster) -> None:
    image = "--image=docker.io/library/postgres:18.6"
    words = ("run", "root", "--namespace", "lakehouse", image, "--privileged", "--dry-run=server")
    refused = deployed.started("kubectl", *words)
    assert refused.returncode == 1
    assert 'violates PodSecurity "restricted' in refused.stderr


def definitions(folder: Path) -> Iterator[Path]:
    """The custom resource definitions that can be had here."""
    if shutil.which("go"):
        (folder / "go.mod").write_text("module definitions\n")
        for module, path in CRD_MODULES.items():
            asked = ["go", "mod", "download", "-json", module]
            done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                yield Path(json.loads(done.stdout)["Dir"]) / path
    if more := os.environ.get(MORE_CRDS):
        yield Path(more)


def test_the_api_server_takes_every_object_of_production(cluster: Cluster, tmp_path: Path) -> None:
    """A dry run on the server: unknown fields and wrong types fail. Nothing is started."""
    groups = {each["apiVersion"].partition("/")[0] for each in manifests("production")}
    for folder in definitions(tmp_path):
        for path in sorted(folder.glob("*.yaml")):
            group = re.search(r"^  group: (\S+)$", path.read_text(), re.MULTILINE)
            if group and group[1] in groups:
                cluster.run("kubectl", "apply", "--server-side", "--filename", path)
    served = {
        line.split()[0].partition("/")[0]
        for line in cluster.run("kubectl", "api-versions").splitlines()
    }
    missing = {group for group in groups if "." in group and group not in served}
    namespace = ("--namespace", "default")
    words = ("apply", "--server-side", "--dry-run=server", "--validate=strict")
    for each in manifests("production"):
        if each["apiVersion"].partition("/")[0] not in missing:
            cluster.run("kubectl", *words, *namespace, "--filename", "-", given=json.dumps(each))
    wrong = next(each for each in manifests("production") if each["kind"] == "PodDisruptionBudget")
    typo = {**wrong, "spec": {**wrong["spec"], "maxUnavailabel": 1}}
    refused = cluster.started(
        "kubectl", *words, *namespace, "--filename", "-", given=json.dumps(typo)
    )
    assert refused.returncode != 0
    assert "maxUnavailabel" in refused.stderr
    if missing:
        pytest.skip(f"NOT TESTED: the resources of {', '.join(sorted(missing))}; set {MORE_CRDS}")


def test_the_audit_finds_what_a_normalizer_without_a_drain_loses(deployed: Cluster) -> None:
    """The control of the tests above: a normalizer that commits before it produces, and ends."""
    script = ROOT / "tests/drills/controls/early_commit_normalizer.py"
    deployed.run(
        "kubectl", *IN_NAMESPACE, "create", "configmap", "control", f"--from-file={script}"
    )
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
    deployed.run("kubectl", *IN_NAMESPACE, "patch", "statefulset/normalizer", "--patch", patch)
    # The first batch of each start is lost. The kubelet starts the pod again.
    with load(deployed, 300, seed=13):
        pass
    lost = audit(deployed)
    assert not lost["ok"], lost
