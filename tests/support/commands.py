"""Calls the `payments` command as a person would: another process, its exit code, its output."""

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
"""No verb that a test calls takes longer; one that does is hung."""


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment, and the settings of one stack."""
    return {**os.environ, **supervisor.environment(settings)}


def call(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one verb to its end; its exit code is the caller's to judge."""
    return subprocess.run(
        [PAYMENTS, *words],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
    )


def start(settings: Settings, *words: str) -> subprocess.Popen[str]:
    """Start one verb; the caller waits for its end."""
    return subprocess.Popen(
        [PAYMENTS, *words],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def audit(settings: Settings, client_ledger: Path, *words: str) -> dict[str, Any]:
    """The audit's JSON, held against a client's ledger."""
    done = call(settings, "audit", "--json", "--client-ledger", str(client_ledger), *words)
    assert done.returncode in (0, 1), done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["ok"] == (done.returncode == 0), "the exit code says what the JSON says"
    return told
