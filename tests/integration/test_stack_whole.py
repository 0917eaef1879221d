"""Does the whole pipeline come up in a stack of its own, and does each part of it say so?"""

import json
import os
import subprocess
import sys

import pytest

import local_stack
from payment_pipeline.settings import Settings

pytestmark = pytest.mark.stack


def test_status_tells_a_machine_that_everything_works(stack: Settings) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "payment_pipeline.cli", "status", "--json"],
        env={**os.environ, **local_stack.environment(stack)},
        capture_output=True,
        text=True,
        check=False,
    )
    standings = json.loads(answer.stdout)
    assert {standing["name"] for standing in standings if not standing["ready"]} == set()
    assert answer.returncode == 0


def test_no_secret_reaches_a_log_or_a_generated_file(stack: Settings) -> None:
    secrets = [path.read_text().strip() for path in stack.secrets_dir.iterdir()]
    written = [*(stack.var / "log").iterdir(), *(stack.var / "run").iterdir()]
    texts = [path.read_text(errors="replace") for path in written if path.is_file()]
    assert texts
    for secret in secrets:
        assert not any(secret in text for text in texts)
