"""Dagster's real web server behind its guard: no foreign page and no link changes anything.

The server has no code location. The mutation of these tests needs none: it sets a limit, which the
instance's storage shows.
"""

import json
import os
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import pytest

from support.isolated import free_ports

pytestmark = pytest.mark.stack

START_S_MAX: Final = 60
JSON: Final = "application/json"
PASSWORD: Final = "a password with enough characters"
KEYS: Final = "{ instance { concurrencyLimits { concurrencyKey } } }"
WEBSOCKET: Final = (
    *(("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
    *(("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="), ("Sec-WebSocket-Protocol", "graphql-ws")),
)


class Answer(NamedTuple):
    """The parts of an answer that the tests look at."""

    status: int
    headers: dict[str, str]
    text: str


class Server:
    """The web server, and requests as a browser or any other program may send them."""

    def __init__(self, port: int, *always: tuple[str, str]) -> None:
        self.port = port
        self.always = always
        self.host = f"127.0.0.1:{port}"
        self.origin = f"http://{self.host}"
        self._keys = 0

    def send(
        self,
        method: str,
        path: str,
        *headers: tuple[str, str],
        body: str = "",
        host: str | None = None,
    ) -> Answer:
        """Send the headers exactly as given; `host` replaces the right Host header."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self.host if host is None else host)
        for name, value in (*self.always, *headers):
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode())
        answer: HTTPResponse = connection.getresponse()
        text = "" if answer.status == 101 else answer.read().decode()
        connection.close()
        return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, text)

    def post(self, query: str, *headers: tuple[str, str], host: str | None = None) -> Answer:
        """Send a query as the UI does, with more headers."""
        content = ("Content-Type", JSON)
        body = json.dumps({"query": query})
        return self.send("POST", "/graphql", content, *headers, body=body, host=host)

    def mutation(self) -> str:
        """A mutation with a key of its own."""
        self._keys += 1
        return f'mutation {{ setConcurrencyLimit(concurrencyKey: "key{self._keys}", limit: 3) }}'

    def keys(self) -> set[str]:
        """The keys that mutations have set."""
        found = json.loads(self.post(KEYS).text)["data"]["instance"]["concurrencyLimits"]
        return {each["concurrencyKey"] for each in found}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with _running(tmp_path_factory.mktemp("dagster")) as found:
        yield found


@pytest.fixture(scope="module")
def secure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of a secure stack, and a person who has logged in."""
    home = tmp_path_factory.mktemp("secure")
    (home / "secure").touch()
    (home / "secrets").mkdir()
    (home / "secrets/dagster_password").write_text(PASSWORD)
    with _running(home, _login("payments", PASSWORD)) as found:
        yield found


def _login(user: str, password: str) -> tuple[str, str]:
    return "Authorization", f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@contextmanager
def _running(home: Path, *always: tuple[str, str]) -> Iterator[Server]:
    (port,) = free_ports(1)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (home / "workspace.yaml").write_text("load_from: []\n")
    module = "orchestration_dagster.guarded_webserver"
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "127.0.0.1", str(port), str(home / "workspace.yaml")],
            env={**os.environ, "DAGSTER_HOME": str(home), "PAYMENTS_VAR": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _ready(Server(port, *always), process, home / "log")
    finally:
        process.terminate()
        process.wait(START_S_MAX)


def _ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> Server:
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            server.keys()
        except ConnectionError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return server


def test_the_own_page_and_a_program_may_change_something(server: Server) -> None:
    before = server.keys()
    for headers in ([], [("Origin", server.origin)]):
        answer = server.post(server.mutation(), *headers)
        assert json.loads(answer.text) == {"data": {"setConcurrencyLimit": True}}
    assert len(server.keys() - before) == 2


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
@pytest.mark.parametrize(
    "path", ["/graphql", "/%67raphql", "//graphql", "/graphql/", "/x/../graphql", "/graphql/?x=y"]
)
def test_a_mutation_by_get_changes_nothing(server: Server, path: str, accept: str) -> None:
    before = server.keys()
    joint = "&" if "?" in path else "?"
    target = f"{path}{joint}query={quote(server.mutation())}"
    for url in (target, server.origin + target):
        for method in ("GET", "HEAD"):
            server.send(method, url, ("Accept", accept))
    assert server.keys() == before


def test_a_query_by_get_is_refused_and_the_page_of_graphiql_is_served(server: Server) -> None:
    refused = server.send("GET", "/graphql?query={version}")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")
    page = server.send("GET", "/graphql", ("Accept", "text/html"))
    assert page.status == 200
    assert "GraphiQL" in page.text


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1", "http://localhost:{port}", "{host}", ""],
)
def test_a_page_of_a_foreign_origin_is_refused(server: Server, origin: str, method: str) -> None:
    before = server.keys()
    sent = ("Origin", origin.format(port=server.port, host=server.host))
    body = json.dumps({"query": server.mutation()})
    answer = server.send(method, "/graphql", ("Content-Type", JSON), sent, body=body)
    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert server.keys() == before


@pytest.mark.parametrize("path", ["/graphql", "/report_asset_materialization/orders"])
@pytest.mark.parametrize(
    "content", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_a_form_is_refused_even_without_an_origin(
    server: Server, path: str, content: str | None
) -> None:
    before = server.keys()
    headers = [] if content is None else [("Content-Type", content)]
    answer = server.send("POST", f"{path}?query={quote(server.mutation())}", *headers)
    assert answer.status == 415
    assert server.keys() == before


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost."),
        *("127.0.0.1@evil.example", "[::2]:{port}", "0.0.0.0:{port}", ""),
    ],
)
def test_a_foreign_name_for_this_machine_is_refused(server: Server, host: str) -> None:
    """DNS rebinding: the name of the foreign page leads here, so its Origin equals its Host."""
    before = server.keys()
    host = host.format(port=server.port)
    same = ("Origin", f"http://{host}")
    assert server.post(server.mutation(), same, host=host).status in (400, 421)
    assert server.send("GET", "/", host=host).status in (400, 421)
    assert server.send("GET", f"{server.origin}/", host=host).status in (400, 421)
    assert server.keys() == before


@pytest.mark.parametrize("host", ["localhost:8443", "LOCALHOST", "[::1]:3000", "127.0.0.1"])
def test_each_name_of_loopback_is_served_at_any_port(server: Server, host: str) -> None:
    """A tunnel may begin at another port."""
    assert server.post(KEYS, ("Origin", f"http://{host.lower()}"), host=host).status == 200


def test_a_second_host_or_origin_is_refused(server: Server) -> None:
    assert server.post(KEYS, ("Host", "evil.example")).status in (400, 421)
    origins = [("Origin", server.origin), ("Origin", "https://evil.example")]
    assert server.post(KEYS, *origins).status == 403


def test_a_foreign_page_opens_no_websocket(server: Server) -> None:
    def handshake(origin: str, host: str | None = None) -> int:
        return server.send("GET", "/graphql", *WEBSOCKET, ("Origin", origin), host=host).status

    assert handshake(server.origin) == 101
    assert handshake("https://evil.example") == 403
    assert handshake("http://evil.example", "evil.example") == 403


def test_no_page_may_show_it_in_a_frame(server: Server) -> None:
    for path in ("/", "/graphql", "/server_info"):
        answer = server.send("GET", path, ("Accept", "text/html"))
        assert answer.status == 200
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_the_server_of_a_secure_stack_asks_for_a_login(secure_server: Server) -> None:
    before = secure_server.keys()
    stranger = Server(secure_server.port)
    wrong = (
        (),
        (_login("payments", "another password"),),
        (_login("admin", PASSWORD),),
        (("Authorization", f"Bearer {PASSWORD}"),),
        (("Authorization", "Basic"),),
    )
    for headers in wrong:
        answer = stranger.post(stranger.mutation(), *headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert stranger.send("GET", "/", *headers).status == 401
        assert stranger.send("GET", "/graphql", *WEBSOCKET, *headers).status == 403
    assert secure_server.keys() == before
    assert secure_server.send("GET", "/graphql", *WEBSOCKET).status == 101


def test_a_person_who_logs_in_is_still_guarded(secure_server: Server) -> None:
    """A browser sends the login with requests of foreign pages too."""
    before = secure_server.keys()
    foreign = ("Origin", "https://a-page.example")
    assert secure_server.post(secure_server.mutation(), foreign).status == 403
    assert secure_server.keys() == before
