"""The workloads in the namespace: their state, their logs, their restart."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from payment_pipeline.domain.failures import UserError

from .cluster_tools import NAMESPACE, found, kubectl
from .terminal import Grid, fixed_column, styled, table, text_column

KINDS: Final = "deployments,statefulsets"
ROLLOUT_S_MAX: Final = 600
OURS: Final = "app.kubernetes.io/part-of"


class Workload(NamedTuple):
    """A Deployment or a StatefulSet."""

    kind: str
    name: str
    part_of: str
    wanted: int
    ready: int
    updated: int
    restarts: int
    """Restarts of the containers of its pods."""
    image: str

    @property
    def is_ready(self) -> bool:
        """Whether every pod is ready, and is of the current revision."""
        return self.ready == self.wanted == self.updated


def workloads(names: Sequence[str] = ()) -> list[Workload]:
    """The workloads of these names, or all.

    Raises:
        UserError: there is no workload of a name, or none at all.
    """
    pods = found("pods")["items"]
    every = [_workload(each, pods) for each in found(KINDS)["items"]]
    if not every:
        raise UserError(f"Nothing is deployed in {NAMESPACE}. Run `make deploy PROFILE=dev`.")
    if unknown := set(names) - {each.name for each in every}:
        known = ", ".join(sorted(each.name for each in every))
        raise UserError(f"No workload {', '.join(sorted(unknown))}: there are {known}.")
    chosen = [each for each in every if not names or each.name in names]
    return sorted(chosen, key=lambda each: (each.part_of, each.name))


def table_of(found_workloads: Sequence[Workload]) -> Grid:
    """One row for each workload."""
    shown = table(
        fixed_column("workload"),
        fixed_column("state"),
        fixed_column("ready"),
        fixed_column("restarts"),
        text_column("image"),
    )
    for each in found_workloads:
        state = ("ready", "green") if each.is_ready else ("not ready", "red")
        ready = f"{each.ready}/{each.wanted}"
        shown.row(each.name, styled(*state), ready, str(each.restarts), each.image)
    return shown


def logs(name: str, lines: int) -> str:
    """The last log lines of each container of a workload's pods.

    Raises:
        UserError: there is no workload of that name.
    """
    [only] = workloads([name])
    return kubectl(
        "logs", "--selector", f"app.kubernetes.io/name={only.name}", "--all-containers",
        "--prefix", "--tail", str(lines),
    )  # fmt: skip


def restart(names: Sequence[str] = ()) -> list[str]:
    """Restart workloads one after another, and wait for each; return their names.

    Without names it restarts our services, and no store.

    Raises:
        UserError: a new pod does not get ready.
    """
    chosen = [each for each in workloads(names) if names or each.part_of == "payments"]
    for each in chosen:
        kubectl("rollout", "restart", f"{each.kind}/{each.name}")
        kubectl(
            "rollout", "status", f"{each.kind}/{each.name}", f"--timeout={ROLLOUT_S_MAX}s",
            wait_s=ROLLOUT_S_MAX + 30,
        )  # fmt: skip
    return [each.name for each in chosen]


def _workload(item: dict[str, Any], pods: Sequence[dict[str, Any]]) -> Workload:
    status, metadata = item["status"], item["metadata"]
    return Workload(
        kind=item["kind"].lower(),
        name=metadata["name"],
        part_of=metadata.get("labels", {}).get(OURS, ""),
        wanted=item["spec"].get("replicas", 1),
        ready=status.get("readyReplicas", 0),
        updated=status.get("updatedReplicas", 0),
        restarts=_restarts(pods, metadata["name"]),
        image=item["spec"]["template"]["spec"]["containers"][0]["image"],
    )


def _restarts(pods: Sequence[dict[str, Any]], name: str) -> int:
    return sum(
        container["restartCount"]
        for pod in pods
        if pod["metadata"].get("labels", {}).get("app.kubernetes.io/name") == name
        for container in pod["status"].get("containerStatuses", ())
    )
