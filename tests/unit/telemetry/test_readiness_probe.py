"""The health check of a container answers by its exit code."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from payment_pipeline import readiness_probe


class Answers(BaseHTTPRequestHandler):
    """Answers with the status of the path `/readyz`, which a test sets."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""


@pytest.fixture
def service() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False), (302, False)])
def test_only_200_is_ready(
    service: HTTPServer, monkeypatch: pytest.MonkeyPatch, status: int, ready: bool
) -> None:
    monkeypatch.setattr(Answers, "status", status)
    assert readiness_probe.is_ready(service.server_port) is ready


def test_nobody_at_the_port_is_not_ready(service: HTTPServer) -> None:
    service.server_close()
    assert not readiness_probe.is_ready(service.server_port)


def test_a_call_without_a_port_is_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "payment_pipeline.readiness_probe"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "payments-ready: give the port of the service's /readyz.\n"
