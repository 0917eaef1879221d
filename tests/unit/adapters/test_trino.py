"""What is said where there is no Trino to ask."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from payment_pipeline.adapters import trino
from payment_pipeline.settings import Settings


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Something that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def settings(server: socket.socket) -> Settings:
    return Settings(var=Path("unused"), trino_port=server.getsockname()[1])


def test_a_closed_port(listener: socket.socket) -> None:
    where = settings(listener)
    listener.close()
    with pytest.raises(trino.NoTrinoError, match="Trino is not running"):
        trino.connect(where)


def test_a_first_half_that_was_installed_without_the_lakehouse(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trino.auth", None)
    with pytest.raises(trino.NoTrinoError, match="packages are not installed"):
        trino.connect(settings(listener))


def test_a_port_that_somebody_else_has(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trino, "ANSWER_TIMEOUT_S", 0.1)
    with pytest.raises(trino.NoTrinoError, match="is not Trino"):
        trino.connect(settings(listener))
