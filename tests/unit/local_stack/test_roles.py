"""Tests that a slow server gets enough time, and is not asked with another password."""

import socket
from pathlib import Path

import psycopg
import pytest

from local_stack import files, generated_secrets, roles
from support import isolated


async def test_a_slow_server_is_not_asked_again_as_an_older_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "CONNECT_TIMEOUT_S", 2)  # the least that libpq waits
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = isolated.settings(tmp_path, postgres_port=silent.getsockname()[1])
        files.make_folders(settings)
        generated_secrets.generate(settings)
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            await roles.ensure(settings)
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
