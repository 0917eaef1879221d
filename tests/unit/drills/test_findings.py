"""The result of a drill: what it says, and when it is good."""

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


def nothing(_ground: DrillContext) -> Findings:
    raise SkippedError("there is no disk")


DRILL = Drill(number=1, promise="Nothing is lost.", needs=(), run=nothing, full_rounds=2)


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
def test_ok_needs_everything_and_a_control_that_failed(findings: Findings, ok: bool) -> None:
    assert findings.ok is ok
    assert findings.as_json()["ok"] is ok


def test_what_does_not_hold_is_said() -> None:
    findings = Findings(control_failed=True)
    findings.require(True, "never said")
    findings.require(False, "it was wrong")
    assert findings.faults == ["it was wrong"]
    assert not findings.right


def test_what_is_late_is_said_apart_from_what_is_wrong() -> None:
    findings = Findings(control_failed=True)
    findings.require_in_time(True, "never said")
    findings.require_in_time(False, "it was slow")
    assert findings.late == ["it was slow"]
    assert findings.right
    assert not findings.ok


def test_recovery_is_the_nearest_rank_of_the_95th_percentile() -> None:
    assert Findings().outage_s_p95 is None
    assert Findings(outages_s=[3.0]).outage_s_p95 == 3.0
    assert Findings(outages_s=[float(n) for n in range(1, 101)]).outage_s_p95 == 95.0


def test_nothing_of_n_bounds_the_rate_by_the_rule_of_three() -> None:
    assert Findings(acknowledged=100_000).rate_max_95 == pytest.approx(3e-5)
    assert Findings(acknowledged=10, tries=1_000).rate_max_95 == pytest.approx(3e-3)
    assert Findings().rate_max_95 is None


def test_what_was_lost_bounds_the_rate_from_above() -> None:
    """Poisson's one-sided bounds: 4.74 where one was seen, 6.30 where two were."""
    assert Findings(acknowledged=1000, lost=1).rate_max_95 == pytest.approx(4.744e-3, rel=1e-3)
    both = Findings(acknowledged=1000, lost=1, duplicated=1)
    assert both.rate_max_95 == pytest.approx(6.296e-3, rel=1e-3)
    assert Findings(acknowledged=2, lost=2).rate_max_95 == 1.0


def test_a_drill_that_was_skipped_or_broke_is_kept_as_that(tmp_path: Path) -> None:
    skipped = Result("kills", DRILL, 1, rounds=1, skipped="there is no disk")
    broken = Result("kills", DRILL, 1, rounds=1)
    broken.findings.require(False, "it broke")
    for result in (skipped, broken):
        run.append_result(tmp_path / "drills.json", result)
    kept = json.loads((tmp_path / "drills.json").read_text())
    assert [(each["skipped"], each["ok"]) for each in kept] == [
        ("there is no disk", True),
        (None, False),
    ]


def test_results_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "drills.json"
    for seed in (1, 2):
        run.append_result(path, Result("kills", DRILL, seed, rounds=1))
    kept = json.loads(path.read_text())
    assert [each["seed"] for each in kept] == [1, 2]
    assert all(each.keys() >= KEYS for each in kept)


def test_every_drill_has_a_number_of_its_own() -> None:
    findings = registry.drills()
    numbers = [drill.number for drill in findings.values()]
    assert numbers == sorted(set(numbers))
    assert set(range(1, 12)) <= set(numbers)
    assert set(findings) == set(registry.names())


def test_an_unknown_drill_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(UserError, match="No drill typhoon: there are broker-down"):
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
