"""The documented nginx in front of the web UIs asks for a login, and refuses foreign pages."""

import asyncio
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Final, NamedTuple

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from local_stack import certificates
from orchestration_dagster.guarded_webserver import LOOPBACK, OwnPagesOnly
from payment_pipeline.settings import Settings
from support import isolated
from support.isolated import free_ports
from support.repository import ROOT

pytestmark = pytest.mark.stack

NGINX: Final = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONFIGURATION: Final = ROOT / "infrastructure/proxy/web-uis.conf.template"
USER, PASSWORD = "jane", "a password with enough characters"
LOGIN: Final = (USER, PASSWORD)
START_S_MAX: Final = 20


class Proxy(NamedTuple):
    """The addresses of the two UIs behind the proxy, and who certifies the proxy."""

    dagster: str
    temporal: str
    authority: Path


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the headers of the request, as a UI behind Dagster's guard."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        return
    await JSONResponse(dict(Request(scope).headers))(scope, receive, send)


@pytest.fixture(scope="module")
def guarded() -> Iterator[int]:
    """Dagster's own guard, before an application that shows what reaches it."""
    (port,) = free_ports(1)
    app = OwnPagesOnly(echo, frozenset(LOOPBACK))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    until_answers(f"http://127.0.0.1:{port}/")
    yield port
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def proxy(
    stores: Settings, guarded: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    if NGINX is None:
        pytest.skip("NOT TESTED: the login before the web UIs. Install nginx")
    folder = tmp_path_factory.mktemp("nginx")
    made = certificates.ensure(isolated.settings(folder), "proxy")
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input=PASSWORD,
        capture_output=True,
        text=True,
        check=True,
    )
    users = folder / "users"
    users.write_text(f"{USER}:{hashed.stdout}")
    dagster, temporal = free_ports(2)
    # As `envsubst` does with a list of names: nginx's own variables stay.
    filled = Template(CONFIGURATION.read_text()).safe_substitute(
        CERTIFICATE=made.server,
        CERTIFICATE_KEY=made.server,
        USERS=users,
        DAGSTER=f"127.0.0.1:{guarded}",
        DAGSTER_LISTEN=f"127.0.0.1:{dagster}",
        TEMPORAL_UI=f"127.0.0.1:{stores.temporal_ui_port}",
        TEMPORAL_LISTEN=f"127.0.0.1:{temporal}",
    )
    (folder / "web-uis.conf").write_text(filled)
    main = folder / "nginx.conf"
    main.write_text(
        # Its workers may not read a test's folder otherwise.
        f"{'user root;' * (os.geteuid() == 0)}\n"
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; include {folder}/web-uis.conf; }}\n"
    )
    process = subprocess.Popen(
        [NGINX, "-p", str(folder), "-c", str(main)], stderr=subprocess.PIPE, text=True
    )
    try:
        until_answers(f"https://127.0.0.1:{dagster}/")
        yield Proxy(f"https://127.0.0.1:{dagster}", f"https://127.0.0.1:{temporal}", made.authority)
    finally:
        process.terminate()
        process.communicate(timeout=START_S_MAX)


def until_answers(url: str) -> None:
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            httpx.get(url, verify=False)
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def browser(proxy: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(verify=ssl.create_default_context(cafile=str(proxy.authority))) as client:
        yield client


@pytest.mark.parametrize("login", [None, (USER, "another password"), ("root", PASSWORD)])
def test_a_stranger_sees_no_page(
    login: tuple[str, str] | None, proxy: Proxy, browser: httpx.Client
) -> None:
    for address in (proxy.dagster, proxy.temporal):
        answer = browser.get(address, auth=login)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_person_who_logs_in_sees_temporal(proxy: Proxy, browser: httpx.Client) -> None:
    found = browser.get(f"{proxy.temporal}/api/v1/namespaces/default", auth=LOGIN)
    assert found.status_code == 200
    assert found.json()["namespaceInfo"]["name"] == "default"


def test_dagster_gets_its_own_name_and_no_password(proxy: Proxy, browser: httpx.Client) -> None:
    own = {"Origin": proxy.dagster, "Content-Type": "application/json"}
    answer = browser.post(f"{proxy.dagster}/graphql", auth=LOGIN, headers=own, content=b"{}")
    assert answer.status_code == 200, answer.text
    assert "authorization" not in answer.json()


@pytest.mark.parametrize("origin", ["https://a-page.example", "null", "https://127.0.0.1"])
def test_a_page_of_another_origin_is_refused(
    origin: str, proxy: Proxy, browser: httpx.Client
) -> None:
    """A browser sends the login with requests of foreign pages too."""
    for address in (proxy.dagster, proxy.temporal):
        answer = browser.post(address, auth=LOGIN, headers={"Origin": origin}, content=b"{}")
        assert answer.status_code == 403


def test_a_websocket_of_its_own_page_is_opened(proxy: Proxy, browser: httpx.Client) -> None:
    wanted = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    own = browser.get(proxy.dagster, auth=LOGIN, headers={**wanted, "Origin": proxy.dagster})
    assert own.status_code == 101
    foreign = browser.get(
        proxy.dagster, auth=LOGIN, headers={**wanted, "Origin": "https://x.example"}
    )
    assert foreign.status_code == 403


def test_no_page_may_be_shown_in_a_frame(proxy: Proxy, browser: httpx.Client) -> None:
    for address in (proxy.dagster, proxy.temporal):
        assert browser.get(address, auth=LOGIN).headers["x-frame-options"] == "DENY"
