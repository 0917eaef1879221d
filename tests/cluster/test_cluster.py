"""The platform on Kubernetes: from a signed event to the facts, faults under load, and no rest.

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
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

from drills import cluster_faults
from drills.cluster_faults import PIPELINE
from drills.findings import Findings
from support import kubernetes
from support.cluster_traffic import IN_TOOLBOX, audit, load, signing_secret, wait_for_the_marts
from support.kubernetes import NAMESPACED, Cluster
from support.manifests import Manifest, manifests, of_other_charts

pytestmark = [pytest.mark.stack, pytest.mark.containers, pytest.mark.timeout(900)]

EVENTS: Final = 5000
CRD_MODULES: Final = {
    "github.com/kedacore/keda/v2@v2.21.0": "config/crd/bases",
    "github.com/external-secrets/external-secrets@v0.16.2": "config/crds/bases",
    "github.com/prometheus-operator/prometheus-operator@v0.93.1": (
        "example/prometheus-operator-crd"
    ),
}
"""The folder of the custom resource definitions in the Go modules of some operators."""
MORE_CRDS: Final = "TEST_CRDS"
"""Environment variable with a folder of definitions of the other operators."""
CHARTS: Final = "TEST_CHARTS"
"""Environment variable with a folder of other projects' charts, called as our values for them."""
DRY_RUN: Final = "dry-run"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := kubernetes.lacking():
        pytest.skip(f"NOT TESTED: Kubernetes. {reason}")
    with kubernetes.cluster() as found:
        yield found


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The platform in the profile dev, ready; nothing of it is left at the end."""
    with kubernetes.deployed(cluster, tmp_path_factory.mktemp("cluster") / "var") as running:
        yield running
    every = "deployments,statefulsets,jobs,pods,services,secrets,persistentvolumeclaims"
    assert cluster.run("kubectl", "get", every, *NAMESPACED, "--output", "name") == ""
    assert cluster.run("kubectl", "get", "namespace", "lakehouse", "--ignore-not-found") == ""


def test_each_event_through_the_forwarded_port_is_in_the_facts(
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
    copy = (*IN_TOOLBOX, "sh", "-c", "cat >/tmp/ledger.jsonl")
    deployed.run(*copy, given=ledger.read_text())
    wait_for_the_marts(deployed)
    found = audit(deployed, "--client-ledger", "/tmp/ledger.jsonl", through="facts")
    assert found["ok"], found
    assert found["stages"]["facts"]["events"] > EVENTS * 0.9


def test_each_run_of_dagster_has_a_pod_and_shows_no_secret(deployed: Cluster) -> None:
    jobs = deployed.run("kubectl", *NAMESPACED, "get", "jobs", "--output", "json")
    runs = [
        each for each in json.loads(jobs)["items"] if "dagster/run-id" in each["metadata"]["labels"]
    ]
    assert any(each["status"].get("succeeded") for each in runs), runs
    secrets = deployed.run("kubectl", *NAMESPACED, "get", "secrets", "--output", "json")
    values = [
        text for each in json.loads(secrets)["items"] for text in texts_of(each.get("data", {}))
    ]
    shown = jobs + deployed.run("kubectl", *NAMESPACED, "get", "pods", "--output", "json")
    assert len(values) > 10
    assert not [each for each in values if each in shown]


def texts_of(data: dict[str, str]) -> list[str]:
    """The texts of a Secret, without those of Helm, which holds the rendered charts."""
    return [b64decode(each).decode() for name, each in data.items() if name != "release"]


def test_rollouts_kills_other_numbers_of_pods_and_a_full_volume_lose_nothing(
    deployed: Cluster,
) -> None:
    """The faults of the drill `cluster`, here in the services of the pipeline alone."""
    findings, rng = Findings(), random.Random(11)
    with load(deployed, seed=11) as traffic:
        cluster_faults.roll(deployed, PIPELINE, findings, print)
        cluster_faults.kill(deployed, PIPELINE, rng, findings, print)
        cluster_faults.scale(deployed, print)
        cluster_faults.fill_volume(deployed, findings, print)
    found = traffic.audit()
    assert found["ok"], found
    assert found["stages"]["acknowledged"]["events"] > 1000
    assert "not ready" not in deployed.run("make", "status")


def test_a_second_deployment_changes_nothing_and_keeps_the_secrets(deployed: Cluster) -> None:
    before = signing_secret(deployed)
    of_releases = "--selector=app.kubernetes.io/name!=dagster-run"
    pods = ("get", "pods", *NAMESPACED, of_releases, "--output", "name")
    running = {*deployed.run("kubectl", *pods).split()}
    deployed.run("make", "deploy", "PROFILE=dev")
    assert signing_secret(deployed) == before
    assert {*deployed.run("kubectl", *pods).split()} == running


def test_a_pod_that_is_not_restricted_is_refused(deployed: Cluster) -> None:
    image = "--image=docker.io/library/postgres:18.6"
    words = ("run", "root", *NAMESPACED, image, "--privileged", "--dry-run=server")
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


@pytest.fixture(scope="module")
def defined(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster with a namespace for dry runs, and the definitions that can be had.

    A user's own cluster keeps its own definitions.
    """
    wanted = {each["apiVersion"].partition("/")[0] for each in manifests("production")}
    folders = definitions(tmp_path_factory.mktemp("definitions")) if cluster.inside else ()
    for path in sorted(path for folder in folders for path in folder.glob("*.yaml")):
        group = re.search(r"^  group: (\S+)$", path.read_text(), re.MULTILINE)
        if group and group[1] in wanted:
            cluster.run("kubectl", "apply", "--server-side", "--filename", path)
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": DRY_RUN, "labels": labels},
    }
    given = json.dumps(namespace)
    cluster.run("kubectl", "apply", "--server-side", "--filename", "-", given=given)
    yield cluster
    cluster.run("kubectl", "delete", "namespace", DRY_RUN, "--wait=false")


def dry_run(on: Cluster, every: Iterable[Manifest]) -> list[str]:
    """What the API server says against objects, which it checks and does not keep."""
    without_namespace = [
        {
            **each,
            "metadata": {name: v for name, v in each["metadata"].items() if name != "namespace"},
        }
        for each in every
    ]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": without_namespace})
    words = ("apply", "--server-side", "--dry-run=server", "--validate=strict")
    done = on.started("kubectl", *words, "--namespace", DRY_RUN, "--filename", "-", given=given)
    assert done.stdout or done.stderr
    return done.stderr.splitlines()


def unserved(on: Cluster, every: Iterable[Manifest]) -> set[str]:
    """The groups of objects whose definitions the API server does not have."""
    lines = on.run("kubectl", "api-versions").splitlines()
    served = {line.partition("/")[0] for line in lines}
    groups = {each["apiVersion"].partition("/")[0] for each in every}
    return {group for group in groups if "." in group and group not in served}


def complaints(on: Cluster, every: Iterable[Manifest]) -> list[str]:
    """What the API server says against objects whose definitions it has."""
    every = list(every)
    missing = unserved(on, every)
    return dry_run(
        on, (each for each in every if each["apiVersion"].partition("/")[0] not in missing)
    )


def test_the_api_server_takes_every_object_of_production(defined: Cluster) -> None:
    """A dry run on the server: unknown fields and wrong types fail. Nothing is started."""
    assert complaints(defined, manifests("production")) == []
    right = next(each for each in manifests("production") if each["kind"] == "PodDisruptionBudget")
    typo = dry_run(defined, [{**right, "spec": {**right["spec"], "maxUnavailabel": 1}}])
    assert "maxUnavailabel" in "".join(typo)
    if missing := unserved(defined, manifests("production")):
        pytest.skip(f"NOT TESTED: the resources of {', '.join(sorted(missing))}; set {MORE_CRDS}")


def test_the_api_server_takes_the_charts_of_others_with_our_values(defined: Cluster) -> None:
    """Temporal, Polaris, Trino and Prometheus. Those of our namespace have restricted pods."""
    charts = of_other_charts(Path(os.environ.get(CHARTS, "")))
    for name, objects in charts.items():
        said = complaints(defined, objects)
        unlike_ours = name == "prometheus"  # it has a namespace of its own, with its own rules
        assert [each for each in said if not (unlike_ours and "PodSecurity" in each)] == [], name
    if not charts:
        pytest.skip(f"NOT TESTED: the charts of other projects; set {CHARTS}")


def test_the_audit_finds_what_a_normalizer_without_a_drain_loses(deployed: Cluster) -> None:
    """The control of the test above. It comes last, because it leaves the normalizer broken."""
    lost = cluster_faults.control(deployed, seed=13)
    assert not lost["ok"], lost
    assert lost["missing_count"] > 0
