"""Tests that no process of another program is killed."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack import supervisor
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from support import isolated, processes

LISTENS = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    listener.accept()
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return isolated.settings(tmp_path)


@pytest.fixture
def gateway(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """A process that listens on the gateway's port, and is the gateway for the supervisor."""
    found = subprocess.Popen(
        [sys.executable, "-c", LISTENS, str(settings.gateway_port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    states = {"gateway": {"name": "gateway", "pid": found.pid, "statename": "RUNNING"}}
    monkeypatch.setattr(supervisor, "states", lambda _settings: states)
    assert found.stdout is not None
    assert found.stdout.readline() == "listening\n"
    yield found
    found.stdout.close()
    found.kill()
    found.wait()


def test_a_component_that_listens_on_its_port_is_killed(
    settings: Settings, gateway: subprocess.Popen[str]
) -> None:
    assert processes.kill(settings, "gateway") == gateway.pid
    assert gateway.wait(10) < 0


def test_no_process_is_killed_when_another_holds_the_port(
    gateway: subprocess.Popen[str], tmp_path: Path
) -> None:
    other = isolated.settings(tmp_path / "other")
    refusal = f"of gateway is used by pid {os.getpid()}, which is another program"
    with (
        socket.create_server(("127.0.0.1", other.gateway_port)),
        pytest.raises(UserError, match=refusal),
    ):
        processes.kill(other, "gateway")
    assert gateway.poll() is None


def test_an_isolated_stack_ignores_the_environment_and_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYMENTS_POSTGRES_DSN", "postgresql://production")
    monkeypatch.setenv("PAYMENTS_KAFKA_BOOTSTRAP_SERVERS", "production:9092")
    monkeypatch.setenv("PAYMENTS_GATEWAY_DEADLINE_S", "99")
    monkeypatch.setenv("PAYMENTS_WEBHOOK_SECRETS_STRIPE", "production")
    found = isolated.settings(tmp_path)
    assert (found.postgres_dsn, found.kafka_bootstrap_servers) == (None, None)
    assert found.gateway_deadline_s == Settings.model_fields["gateway_deadline_s"].default
    assert found.given_secrets == {}
    environment = supervisor.environment(found)
    assert environment["PAYMENTS_WEBHOOK_SECRETS_STRIPE"] == ""
    assert environment["PAYMENTS_POSTGRES_DSN"] == ""
    assert environment["PAYMENTS_KAFKA_BOOTSTRAP_SERVERS"] == ""


def test_a_temporary_stack_copies_models_and_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/fraud").write_text("trained")
    with isolated.temporary(tmp_path / "models", gateway_deadline_s=1.5) as found:
        assert (found.var / "models/fraud").read_text() == "trained"
        assert found.gateway_deadline_s == 1.5
    assert not found.var.exists()
