"""The checks before a deployment: the tools, the cluster, and what a profile needs of it."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from local_stack.component import Check, program
from payment_pipeline.domain.failures import UserError

from .cluster_tools import context, found, kubectl, kubectl_path

VERSION_MIN: Final = (1, 30)
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
OPERATORS: Final = {
    "kafkas.kafka.strimzi.io": "Strimzi",
    "clusters.postgresql.cnpg.io": "CloudNativePG",
    "scaledobjects.keda.sh": "KEDA",
    "externalsecrets.external-secrets.io": "External Secrets",
    "podmonitors.monitoring.coreos.com": "the Prometheus operator",
}
"""The custom resource of each operator that the profile production needs."""


def checks(profile: str) -> list[Check]:
    """All checks of a profile. It stops at the first one without which the others make no sense."""
    made = [
        program("kubectl", kubectl_path),
        Check(
            "Helm",
            find_spec("helm_python") is not None,
            "the package helm-python-sdk",
            "run `make setup`",
        ),
    ]
    if not made[0].ok:
        return made
    try:
        made.append(_version())
    except UserError as refusal:
        finding = (refusal.output or str(refusal)).splitlines()[-1]
        return [*made, Check("Cluster", False, finding, "set KUBECONFIG, or start your cluster")]
    return [*made, *(_storage() if profile == "dev" else _operators())]


def _version() -> Check:
    server = json.loads(kubectl("version", "--output", "json"))["serverVersion"]
    version = int(server["major"]), int(server["minor"].rstrip("+"))
    finding = f"{context()}, Kubernetes {server['gitVersion']}"
    wanted = ".".join(map(str, VERSION_MIN))
    return Check("Cluster", version >= VERSION_MIN, finding, f"use Kubernetes {wanted} or newer")


def _storage() -> Iterator[Check]:
    classes = found("storageclass")["items"]
    default = [
        each["metadata"]["name"]
        for each in classes
        if each["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true"
    ]
    finding = ", ".join(default) or "no default storage class"
    yield Check("Volumes", bool(default), finding, "mark a storage class as the default")


def _operators() -> Iterator[Check]:
    for resource, operator in OPERATORS.items():
        there = found("customresourcedefinition", resource) is not None
        remedy = f"install {operator}: see docs/deployment/kubernetes.md"
        yield Check(operator, there, resource if there else f"no {resource}", remedy)
