"""The Helm releases of the platform: their charts and values, rendering, deployment, removal."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

from payment_pipeline import resources
from payment_pipeline.domain.failures import UserError

from .cluster_tools import NAMESPACE, found, kubectl

# The library is large. `payments --help` does without it.
if TYPE_CHECKING:
    import helm_python

FOLDER: Final = resources.folder("infrastructure/kubernetes")
DEPLOY_S_MAX: Final = 900
"""The longest time until every pod of a release is ready. A first start trains the models."""
HISTORY_MAX: Final = 10
"""Revisions that are kept for a rollback."""
REMOVE_S_MAX: Final = 300

Values = dict[str, Any]
"""The values of a chart: a YAML map."""


class Chart(NamedTuple):
    """A chart with its values, which is released under the chart's name."""

    name: str
    values: Values

    @property
    def path(self) -> Path:
        """The chart's folder."""
        return FOLDER / self.name


def charts(
    profile: str, own: Sequence[Path] = (), own_of_stores: Sequence[Path] = ()
) -> tuple[Chart, ...]:
    """The charts of a profile in the order of their deployment, with their values.

    Args:
        profile: dev or production.
        own: files with the user's values of the chart `payments`. A later file takes precedence.
        own_of_stores: the same for the chart `stores`.

    Raises:
        UserError: a file is no YAML map.
    """
    payments = Chart("payments", _values(FOLDER / f"payments/values-{profile}.yaml", *own))
    stores = Chart("stores", _values(FOLDER / f"stores/values-{profile}.yaml", *own_of_stores))
    return (stores, payments)


def rendered(chart: Chart) -> Iterator[str]:
    """The manifests of a chart, as YAML texts, without a cluster.

    Raises:
        UserError: the chart refuses a value.
    """
    import helm_python

    try:
        with helm_python.Chart.load(chart.path) as loaded:
            texts = loaded.render(chart.values, name=chart.name, namespace=NAMESPACE)
    except helm_python.HelmError as refusal:
        raise _refused(chart, refusal) from refusal
    yield from (text for _, text in sorted(texts.items()) if text.strip())


def deploy(chart: Chart, *, recover: bool = False) -> int:
    """Install or upgrade a release, and wait until its pods are ready; return the revision.

    Args:
        chart: to release.
        recover: undo an interrupted deployment first. Volumes stay.

    Raises:
        UserError: the chart refuses a value, a pod does not get ready, or another deployment runs
            or was interrupted. An upgrade that fails is rolled back.
    """
    import helm_python

    if found("namespace", NAMESPACE) is None:
        raise UserError(f"The namespace {NAMESPACE} is missing. Run `make setup PROFILE=dev`.")
    try:
        with (
            helm_python.Config(namespace=NAMESPACE) as config,
            helm_python.Chart.load(chart.path) as loaded,
        ):
            common: Values = {"namespace": NAMESPACE, "timeout": DEPLOY_S_MAX, "wait": "watcher"}
            state = _state(config, chart.name)
            if state.startswith("pending") and not recover:
                raise UserError(
                    f"A deployment of {chart.name} runs or was interrupted. If none runs now, call "
                    "`payments cluster deploy --recover`.",
                    exit_code=1,
                )
            if state == "pending-install":
                config.uninstall(chart.name, timeout=REMOVE_S_MAX, wait="watcher")
            elif state.startswith("pending"):
                config.rollback(chart.name, timeout=DEPLOY_S_MAX, wait="watcher")
            if state not in ("", "pending-install"):
                done = config.upgrade(
                    loaded,
                    chart.name,
                    chart.values,
                    rollback_on_failure=True,
                    max_history=HISTORY_MAX,
                    **common,
                )
            else:
                done = config.install(loaded, chart.name, chart.values, **common)
    except helm_python.HelmError as refusal:
        raise _refused(chart, refusal) from refusal
    return int(done["revision"])


def destroy() -> None:
    """Uninstall the releases and delete the namespace with its volumes; wait until it is gone."""
    import helm_python

    if found("namespace", NAMESPACE) is None:
        return
    with helm_python.Config(namespace=NAMESPACE) as config:
        for name in ("payments", "stores"):
            config.uninstall(name, ignore_not_found=True, timeout=REMOVE_S_MAX)
    kubectl("delete", "namespace", NAMESPACE, "--wait", wait_s=REMOVE_S_MAX)


def _state(config: "helm_python.Config", name: str) -> str:
    """Helm's word for the state of a release, such as `deployed`. Empty if there is none."""
    releases = config.list(name_filter=f"^{name}$", all_states=True)
    return str(releases[0]["status"]) if releases else ""


def _values(*paths: Path) -> Values:
    merged: Values = {}
    for path in paths:
        try:
            more = yaml.safe_load(path.read_text()) or {}
        except yaml.YAMLError as wrong:
            raise UserError(f"{path} is no YAML:", output=str(wrong)) from wrong
        if not isinstance(more, dict):
            raise UserError(f"{path} is no map of values.")
        merged = _merged(merged, more)
    return merged


def _merged(values: Values, more: Values) -> Values:
    """Both maps; where both have a value, `more` takes precedence, as in Helm."""
    result = deepcopy(values)
    for name, value in more.items():
        before = result.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            result[name] = _merged(before, value)
        else:
            result[name] = value
    return result


def _refused(chart: Chart, refusal: Exception) -> UserError:
    return UserError(f"The chart {chart.name} was refused:", exit_code=1, output=str(refusal))
