"""The inference process: it serves and reloads models, reports errors, and stops on SIGTERM."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from conftest import free_ports
from payment_pipeline.domain.scoring import ScoreResponse

CUSTOMERS = "600"
START_S_MAX = 60
TOKEN = "a token with enough characters"
LOGIN = {"Authorization": f"Bearer {TOKEN}"}


def environment(var: Path, port: int) -> dict[str, str]:
    return os.environ | {
        "PAYMENTS_VAR": str(var),
        "PAYMENTS_INFERENCE_PORT": str(port),
        "PAYMENTS_INFERENCE_TOKEN": TOKEN,
    }


def train(var: Path, seed: int) -> list[dict[str, object]]:
    done = subprocess.run(
        ["payments", "train", "--json", "--customers", CUSTOMERS, "--seed", str(seed)],
        env=environment(var, 1)
        | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return list(json.loads(done.stdout))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("inference")
    train(var, seed=1)
    return var


@contextmanager
def running(var: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "payment_pipeline.inference"],
        env=environment(var, port),
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: answers(port), f"no answer from port {port}")
        yield process
    finally:
        process.kill()
        process.communicate()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + START_S_MAX
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def started(var: Path, port: int) -> subprocess.CompletedProcess[str]:
    """A start that is expected to fail."""
    return subprocess.run(
        [sys.executable, "-m", "payment_pipeline.inference"],
        env=environment(var, port),
        capture_output=True,
        text=True,
        timeout=START_S_MAX,
        check=False,
    )


def test_serves_takes_a_new_training_up_and_stops_when_told(trained: Path) -> None:
    (port,) = free_ports(1)
    charge = {
        "event_id": "evt_1",
        "kind": "charge",
        "event_type": "charge.failed",
        "occurred_at": "2025-06-05T12:00:00Z",
        "features": {"subscription_past_due": 1.0},
        "decline": {"network": "visa", "network_decline_code": "43"},
    }
    with (
        running(trained, port) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=LOGIN) as to,
    ):
        answer = to.post("/v1/score", json={"events": [charge]})
        (scores,) = ScoreResponse.model_validate_json(answer.content).scores
        assert scores.retry_strategy is not None
        assert scores.retry_strategy.value == "do_not_retry"
        assert scores.churn_score is not None

        wanted = {card["model"]: card["version"] for card in train(trained, seed=2)}

        def served() -> dict[str, str]:
            return {card["model"]: card["version"] for card in to.get("/v1/models").json()}

        assert served().keys() == wanted.keys()
        until(lambda: served() == wanted, "the new versions were not taken up")
        assert to.get("/readyz").status_code == 200

        with socket.create_connection(("127.0.0.1", port), timeout=10) as endless:
            endless.sendall(b"GET /livez HTTP/1.1\r\nx-more: " + b"x" * 65_536)
            assert endless.recv(1024).startswith(b"HTTP/1.1 4"), "a head has an end"

        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_without_a_model_it_says_what_to_run(tmp_path: Path) -> None:
    refused = started(tmp_path, free_ports(1)[0])
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "payments train" in refused.stderr


def test_a_taken_port_is_named(trained: Path) -> None:
    (port,) = free_ports(1)
    with running(trained, port):
        refused = started(trained, port)
    assert refused.returncode == 2
    assert f"Port {port}" in refused.stderr.splitlines()[-1]
