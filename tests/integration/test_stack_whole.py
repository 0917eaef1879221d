"""Tests that the whole pipeline starts, and that each component reports that it is ready."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local_stack import process
from local_stack.components import chosen
from payment_pipeline.settings import Settings
from support import commands, processes
from support.listeners import ports_and_strangers

pytestmark = pytest.mark.stack


def test_status_prints_json_that_says_everything_is_ready(stack: Settings) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "payment_operations.cli", "status", "--json"],
        env=commands.environment(stack),
        capture_output=True,
        text=True,
        check=False,
    )
    standings = json.loads(answer.stdout)
    ready = {standing["name"]: standing["ready"] for standing in standings}
    assert all(ready[component.name] for component in chosen())
    # Another test on this shared stack may have started components that are stopped now.
    assert answer.returncode == (0 if all(ready.values()) else 1)


def test_every_listener_is_on_loopback(stack: Settings) -> None:
    inside, outside = ports_and_strangers(stack)
    assert outside == []
    assert {stack.gateway_port, stack.gateway_metrics_port, stack.inference_port} <= inside
    assert {stack.normalizer_metrics_port, stack.worker_metrics_port} <= inside


def test_of_the_services_only_the_worker_is_connected_to_postgresql(stack: Settings) -> None:
    """The other services have no role in PostgreSQL."""
    connected = {
        name
        for name in ("gateway", "normalizer", "dispatcher", "inference", "worker")
        for each in psutil.Process(processes.pid_of(stack, name)).net_connections("tcp")
        if getattr(each.raddr, "port", None) == stack.postgres_port
    }
    assert connected == {"worker"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the mask of a process")
def test_every_process_makes_private_files_in_a_private_folder(stack: Settings) -> None:
    """Whichever user runs the stack, also PostgreSQL's own user if root does."""
    assert stack.var.stat().st_mode & 0o777 == 0o700
    masks = {}
    for member in process.members(stack):
        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
            status = Path(f"/proc/{member.pid}/status").read_text()
            masks[f"{member.name()} {member.pid}"] = re.findall(r"\nUmask:\s+(\d+)", status)
    assert len(masks) > 10
    assert {name: mask for name, mask in masks.items() if mask != ["0077"]} == {}
    opened = [
        path
        for folder in ("log", "run", "secrets", "postgres", "kafka", "temporal")
        for path in (stack.var / folder).rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o077
    ]
    assert opened == []


def test_no_secret_reaches_a_log_or_a_generated_file(stack: Settings) -> None:
    secrets = [path.read_text().strip() for path in stack.secrets_dir.iterdir()]
    written = [*(stack.var / "log").iterdir(), *(stack.var / "run").iterdir()]
    texts = {path: path.read_text(errors="replace") for path in written if path.is_file()}
    assert texts
    leaking = [path for path, text in texts.items() if any(secret in text for secret in secrets)]
    assert leaking == []
