"""The rendered manifests of the Kubernetes charts, as objects."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import yaml

from payment_operations import cluster_release

PROFILES: Final = ("dev", "production")
PODS: Final = ("Deployment", "StatefulSet", "Job")

Manifest = dict[str, Any]
"""An object of the API server."""


@cache
def manifests(profile: str) -> tuple[Manifest, ...]:
    """Every object of both charts in a profile."""
    return tuple(
        found
        for chart in cluster_release.charts(profile)
        for text in cluster_release.rendered(chart)
        for found in yaml.safe_load_all(text)
        if found
    )


def of_kind(profile: str, *kinds: str) -> Iterator[Manifest]:
    """The objects of some kinds."""
    return (each for each in manifests(profile) if each["kind"] in kinds)


def named(profile: str, kind: str, name: str) -> Manifest:
    """The only object of a kind and a name."""
    [found] = (each for each in of_kind(profile, kind) if each["metadata"]["name"] == name)
    return found


def pods(profile: str) -> dict[str, Manifest]:
    """The pod template of each workload and job, by the name of the workload."""
    return {each["metadata"]["name"]: each["spec"]["template"] for each in of_kind(profile, *PODS)}


def containers(pod: Manifest) -> list[Manifest]:
    """All containers of a pod template, those that only start it first."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
