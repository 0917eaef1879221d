"""Tests that CI finds credentials and known vulnerabilities, and says if it could not look."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import ROOT

AUDIT = ROOT / "infrastructure/local/audit-dependencies"
NO_ANSWER = "requests.exceptions.ConnectionError: Failed to resolve the host"
FOUND = "Found 1 known vulnerability in 1 package"
# Put together here, so that the scan of this repository does not find it.
CREDENTIAL = "AKIA" + "QYLPMN5HHHFPZAM2"


def audit(tmp_path: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run the audit with a stand-in for pip-audit. `$lock` is the lock that it asks about."""
    stand_in = tmp_path / "pip-audit"
    stand_in.write_text(f'#!/bin/sh\nfor lock in "$@"; do :; done\n{program}\n')
    stand_in.chmod(0o700)
    environment = {"PIP_AUDIT": str(stand_in), "PATH": "/usr/bin:/bin"}
    return subprocess.run([AUDIT], env=environment, capture_output=True, text=True, check=False)


def test_an_audit_without_a_finding_succeeds(tmp_path: Path) -> None:
    done = audit(tmp_path, 'echo "asked about $lock"')
    assert done.returncode == 0
    asked = {line.rpartition("/")[2] for line in done.stdout.splitlines()}
    assert asked == {lock.name for lock in (ROOT / "infrastructure/locks").glob("*.txt")}


def test_a_known_vulnerability_fails_the_audit(tmp_path: Path) -> None:
    done = audit(tmp_path, f'case $lock in *superset*) echo "{FOUND}"; exit 1;; esac')
    assert done.returncode == 1
    assert FOUND in done.stderr


def test_an_audit_without_an_answer_says_so_and_fails_otherwise(tmp_path: Path) -> None:
    done = audit(tmp_path, f'echo "{NO_ANSWER}"; exit 1')
    assert done.returncode == 3
    assert "osv.dev gives no answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_vulnerability_counts_although_the_next_answer_is_missing(tmp_path: Path) -> None:
    program = f'case $lock in *build*) echo "{FOUND}";; *) echo "{NO_ANSWER}";; esac; exit 1'
    assert audit(tmp_path, program).returncode == 1


@pytest.mark.parametrize(("line", "code"), [(f'key = "{CREDENTIAL}"', 2), ('key = "none"', 0)])
def test_the_secret_scan_finds_a_credential(tmp_path: Path, line: str, code: int) -> None:
    (tmp_path / "given.py").write_text(f"{line}\n")
    for words in (["git", "init", "-q"], ["git", "add", "given.py"], scan()):
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert CREDENTIAL not in done.stdout


def scan() -> list[str]:
    """`make secret-scan` of the current directory, without its setup."""
    programs = Path(sys.executable).parent
    return ["make", "-f", str(ROOT / "Makefile"), "-o", "setup", f"BIN={programs}", "secret-scan"]


def test_ci_runs_the_secret_scan_and_the_audit() -> None:
    ci = (ROOT / ".ci/run").read_text().splitlines()
    assert {"make lint", "make test"} <= {*ci}
    assert any(line.startswith("infrastructure/local/audit-dependencies") for line in ci)
    lint = (ROOT / "Makefile").read_text().split("\nlint: ")[1].splitlines()[0]
    assert "secret-scan" in lint
