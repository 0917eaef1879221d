"""The rendered manifests of the Kubernetes charts, as objects."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import helm_python
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


def of_other_charts(folder: Path) -> dict[str, list[Manifest]]:
    """The objects of other projects' charts with our values for them, by the name of the chart.

    Args:
        folder: has the charts' folders, of those that can be had. Each is called as our values are.
    """
    found = {}
    for values in sorted((cluster_release.FOLDER / "operators").glob("*.yaml")):
        if (folder / values.stem).is_dir():
            with helm_python.Chart.load(folder / values.stem) as chart:
                given = yaml.safe_load(values.read_text())
                texts = chart.render(given, name=values.stem, namespace="lakehouse")
            found[values.stem] = [
                each
                for name, text in texts.items()
                if name.endswith((".yaml", ".yml"))
                for each in yaml.safe_load_all(text)
                if each and not _is_a_test(each)
            ]
    return found


def _is_a_test(each: Manifest) -> bool:
    """Whether Helm makes the object only for `helm test`."""
    annotations = each["metadata"].get("annotations") or {}
    return str(annotations.get("helm.sh/hook", "")).startswith("test")


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
