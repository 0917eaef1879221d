"""The findings and results of drills, and the command line of `drills.run`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drills import registry, run
from drills.drill import Drill, DrillContext
from drills.findings import Findings, SkippedError
from drills.result import Result
from payment_pipeline.domain.failures import UserError
from support.repository import importing_tests

KEYS = {
    *("name", "seed", "acknowledged", "lost", "duplicated", "unknown"),
    *("recovery_seconds_p95", "control_failed", "ok"),
}


def no_findings(_ground: DrillContext) -> Findings:
    raise SkippedError("there is no disk")


DRILL = Drill(number=1, promise="Nothing is lost.", needs=(), run=no_findings, full_rounds=2)


@pytest.mark.parametrize(
    ("findings", "ok"),
    [
        (Findings(acknowledged=10, control_failed=True), True),
        (Findings(acknowledged=10), False),
        (Findings(acknowledged=10, lost=1, control_failed=True), False),
        (Findings(acknowledged=10, duplicated=1, control_failed=True), False),
        (Findings(acknowledged=10, control_failed=True, faults=["late"]), False),
        (Findings(acknowledged=10, unknown=3, control_failed=True), True),
    ],
)
def test_a_drill_passes_only_without_faults_and_with_a_failed_control(
    findings: Findings, ok: bool
) -> None:
    assert findings.ok is ok
    assert findings.as_json()["ok"] is ok


def test_only_a_failed_requirement_adds_its_sentence() -> None:
    findings = Findings(control_failed=True)
    findings.require(True, "never added")
    findings.require(False, "a row is missing")
    assert findings.faults == ["a row is missing"]
    assert not findings.right


def test_a_missed_time_limit_is_listed_apart_from_faults() -> None:
    findings = Findings(control_failed=True)
    findings.require_in_time(True, "never added")
    findings.require_in_time(False, "the answer was slow")
    assert findings.late == ["the answer was slow"]
    assert findings.right
    assert not findings.ok


def test_the_outage_is_the_95th_percentile_by_nearest_rank() -> None:
    assert Findings().outage_s_p95 is None
    assert Findings(outages_s=[3.0]).outage_s_p95 == 3.0
    assert Findings(outages_s=[float(n) for n in range(1, 101)]).outage_s_p95 == 95.0


def test_no_failure_in_n_tries_bounds_the_rate_by_the_rule_of_three() -> None:
    assert Findings(acknowledged=100_000).rate_max_95 == pytest.approx(3e-5)
    assert Findings(acknowledged=10, tries=1_000).rate_max_95 == pytest.approx(3e-3)
    assert Findings().rate_max_95 is None


def test_lost_events_give_the_poisson_upper_bound_on_the_rate() -> None:
    """The one-sided 95 % bound on a Poisson mean is 4.74 for one event, and 6.30 for two."""
    assert Findings(acknowledged=1000, lost=1).rate_max_95 == pytest.approx(4.744e-3, rel=1e-3)
    both = Findings(acknowledged=1000, lost=1, duplicated=1)
    assert both.rate_max_95 == pytest.approx(6.296e-3, rel=1e-3)
    assert Findings(acknowledged=2, lost=2).rate_max_95 == 1.0


def test_a_skipped_drill_and_a_failed_drill_are_stored(tmp_path: Path) -> None:
    skipped = Result("kills", DRILL, 1, rounds=1, skipped="there is no disk")
    broken = Result("kills", DRILL, 1, rounds=1)
    broken.findings.require(False, "the drill raised KeyError")
    for result in (skipped, broken):
        run.append_result(tmp_path / "drills.json", result)
    kept = json.loads((tmp_path / "drills.json").read_text())
    assert [(each["skipped"], each["ok"]) for each in kept] == [
        ("there is no disk", True),
        (None, False),
    ]


def test_results_are_appended_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "drills.json"
    for seed in (1, 2):
        run.append_result(path, Result("kills", DRILL, seed, rounds=1))
    kept = json.loads(path.read_text())
    assert [each["seed"] for each in kept] == [1, 2]
    assert all(each.keys() >= KEYS for each in kept)


def test_every_drill_has_a_unique_number() -> None:
    findings = registry.drills()
    numbers = [drill.number for drill in findings.values()]
    assert numbers == sorted(set(numbers))
    assert set(range(1, 12)) <= set(numbers)
    assert set(findings) == set(registry.names())


def test_an_unknown_drill_is_refused_with_the_list_of_drills() -> None:
    with pytest.raises(UserError, match=r"Unknown drill: typhoon\. The drills are broker-down"):
        registry.drills(("typhoon",))


def test_full_and_rounds_exclude_each_other() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "drills.run", "kills", "--full", "--rounds", "2"],
        env={**os.environ, **importing_tests()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "Give either --full or --rounds" in refused.stderr
