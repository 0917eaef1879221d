"""Calls the `payments` command in a separate process, as an operator does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from local_stack import supervisor
from payment_pipeline.settings import Settings

PAYMENTS = str(Path(sys.executable).with_name("payments"))
CALL_S = 240
"""A command that takes longer hangs. No command in the tests takes so long."""


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of this process with the settings of one stack."""
    return {**os.environ, **supervisor.environment(settings)}


def call(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end. The caller checks the exit code."""
    return subprocess.run(
        [PAYMENTS, *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
    )


def start(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    """Start one command. The caller waits for its end."""
    return subprocess.Popen(
        [PAYMENTS, *arguments],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def audit(settings: Settings, client_ledger: Path, *arguments: str) -> dict[str, Any]:
    """Audit with a client ledger, and return the JSON."""
    done = call(settings, "audit", "--json", "--client-ledger", str(client_ledger), *arguments)
    assert done.returncode in (0, 1), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["ok"] == (done.returncode == 0), "the exit code and the JSON disagree"
    return result
