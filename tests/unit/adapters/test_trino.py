"""The errors for a missing connection to Trino."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from payment_pipeline.adapters import trino
from payment_pipeline.settings import Settings


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def settings(server: socket.socket) -> Settings:
    return Settings(var=Path("unused"), trino_port=server.getsockname()[1])


def test_a_closed_port_means_that_trino_does_not_run(listener: socket.socket) -> None:
    where = settings(listener)
    listener.close()
    with pytest.raises(trino.NoTrinoError, match="Trino is not running"):
        trino.connect(where)


def test_an_installation_without_the_lakehouse_is_named(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trino.auth", None)
    with pytest.raises(trino.NoTrinoError, match="packages are not installed"):
        trino.connect(settings(listener))


def test_another_server_on_the_port_is_not_taken_for_trino(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trino, "ANSWER_TIMEOUT_S", 0.1)
    with pytest.raises(trino.NoTrinoError, match="is not Trino"):
        trino.connect(settings(listener))
