"""Drill 13: rollouts, killed pods, other numbers of pods and a full volume on Kubernetes."""

import os
from typing import Final

from drills import cluster_faults
from drills.drill import Drill, DrillContext
from drills.findings import Findings, SkippedError
from support import kubernetes
from support.cluster_traffic import load, wait_for_the_marts

SEED_MAX: Final = 2**20


def run(context: DrillContext) -> Findings:
    """Cause every fault under load, `rounds` times, and account for every event up to the facts."""
    if os.environ.get("KUBECONFIG"):
        raise SkippedError(
            "this drill breaks a cluster, so it runs on a node of its own: unset KUBECONFIG. "
            "`make test-cluster` uses your cluster."
        )
    if reason := kubernetes.lacking():
        raise SkippedError(f"this drill starts a node of its own, and {reason}")
    findings, tell = Findings(), context.progress
    tell("building the images and starting a node: some minutes")
    with (
        kubernetes.cluster() as cluster,
        kubernetes.deployed(cluster, context.folder / "var") as on,
    ):
        tell("deployed")
        with load(on, context.rng.randrange(SEED_MAX)) as traffic:
            wait_for_the_marts(on)
            every = cluster_faults.workloads(on)
            for _ in range(context.rounds):
                cluster_faults.roll(on, every, findings, tell)
                cluster_faults.kill(on, every, context.rng, findings, tell)
                cluster_faults.scale(on, tell)
                cluster_faults.fill_volume(on, findings, tell)
        audit = traffic.audit(through="facts")
        findings.acknowledged = audit["stages"]["acknowledged"]["events"]
        findings.lost = audit["missing_count"]
        findings.duplicated = audit["duplicated_count"]
        findings.unknown = audit["unknown_count"]
        findings.require(audit["ok"], audit["verdict"])
        tell(audit["verdict"])
        lost = cluster_faults.control(on, context.rng.randrange(SEED_MAX))
        findings.control_failed = not lost["ok"] and lost["missing_count"] > 0
        tell(f"control, a normalizer without a drain: {lost['missing_count']} events are lost")
    return findings


DRILL = Drill(
    number=13,
    promise="On Kubernetes, no rollout, no kill and no full volume loses or doubles an event.",
    needs=(),
    run=run,
    full_rounds=1,
)
