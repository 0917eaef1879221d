"""Runs every command of the runbook of the alerts."""

import re
import subprocess

import pytest

from local_stack import files
from payment_pipeline.settings import Settings
from support import commands
from support.repository import ROOT

pytestmark = pytest.mark.stack

RUNBOOK = (ROOT / "docs" / "runbooks" / "alerts.md").read_text()
DEFINES, *SECTIONS = re.findall(r"^```sh\n(.*?)^```$", RUNBOOK, re.MULTILINE | re.DOTALL)
LAKEHOUSE = ("9104", "payments lake", "lake-metrics")
"""What a stack without the lakehouse has not."""
FAILS = 120
"""`curl` and `grep` answer 1 for "nothing found", `payments status` for "not well": no mistake."""


@pytest.mark.parametrize("block", SECTIONS, ids=lambda block: block.split("\n")[0][:60])
def test_each_command_runs(stack: Settings, block: str) -> None:
    lines = [line for line in block.splitlines() if not any(name in line for name in LAKEHOUSE)]
    script = "\n".join([DEFINES, *lines])
    for name, default in Settings.model_fields.items():
        if name.endswith("_port"):
            script = re.sub(rf"\b{default.default}\b", str(getattr(stack, name)), script)
    script = script.replace("var/secrets", str(files.var(stack) / "secrets"))
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        env=commands.environment(stack),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=FAILS,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert not done.stderr, done.stderr
