"""Dagster's web server, which serves only its own pages.

Dagster's UI has no login, so a page of another origin in the same browser could launch a run with
one request. `OwnPagesOnly` refuses these requests. `WithoutQueriesByGet` refuses GraphQL by GET,
with which a link or an image could launch a run. `WithPassword` asks for a login in a secure stack.

`python -m orchestration_dagster.guarded_webserver` serves it: see `main` for the arguments.
"""

import re
import sys
from base64 import b64encode
from pathlib import Path
from typing import Final, NamedTuple

import uvicorn
from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.log import configure_loggers
from dagster_webserver.version import __version__
from dagster_webserver.webserver import DagsterWebserver
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from payment_pipeline.known_secrets import KnownSecrets
from payment_pipeline.settings import load

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
HOST: Final = re.compile(r"(?:\[([0-9a-f:]+)\]|([^\[\]:@/?#\s]+))(?::\d+)?")
"""A Host header in lower case: an IPv6 address or another name, then perhaps a port."""
SAFE_METHODS: Final = ("GET", "HEAD")
JSON: Final = "application/json"
POLICY_VIOLATION: Final = 1008
"""The code of a WebSocket that is closed because of a rule (RFC 6455, section 7.4.1)."""
STATEMENT_MS_MAX: Final = 15_000
POOL_RECYCLE_S: Final = 3_600
POOL_OVERFLOW_MAX: Final = 20
POLL_MS: Final = 2_000
"""The defaults of `dagster-webserver`, as are the three before."""


class Refusal(NamedTuple):
    """The status and the text of an answer to a request that is refused."""

    status: int
    text: str


class OwnPagesOnly:
    """ASGI layer that refuses requests of foreign pages, and of pages with a foreign host name.

    - Host: a closed list of names. A foreign name that was pointed to this machine (DNS rebinding)
      is refused, so a foreign page can't become a page of this server.
    - Origin: browsers send the header with every WebSocket and with every request that may change
      something. It must name this server. Programs that are no browser send none.
    - Content type: a request that may change something carries JSON. A form can't send JSON.
    - No page may show this server in a frame, where a foreign page could steer the user's clicks.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""

        async def unframed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Frame-Options"] = "DENY"
                headers.append("Content-Security-Policy", "frame-ancestors 'none'")
            await send(message)

        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, unframed)
        elif scope["type"] == "http":
            answer = PlainTextResponse(refusal.text, refusal.status)
            await answer(scope, receive, unframed)
        else:  # the server answers the handshake with 403
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        named = [each.lower() for each in headers.getlist("host")]
        if len(named) != 1 or not self._is_known(named[0]):
            known = ", ".join(sorted(self._hosts))
            return Refusal(421, f"This server has other names. Open it as one of: {known}.")
        own = {f"{scheme}://{named[0]}" for scheme in ("http", "https")}
        if not own.issuperset(each.lower() for each in headers.getlist("origin")):
            return Refusal(403, "A page of another origin sent this request. It was not executed.")
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            sent = headers.get("content-type", "").partition(";")[0].strip().lower()
            if sent != JSON:
                return Refusal(415, f"Send the request as {JSON}.")
        return None

    def _is_known(self, host: str) -> bool:
        found = HOST.fullmatch(host)
        return found is not None and (found[1] or found[2]) in self._hosts


class WithPassword:
    """ASGI layer that asks for one user's password (HTTP Basic, RFC 7617)."""

    def __init__(self, app: ASGIApp, user: str, password: str) -> None:
        self._app = app
        self._known = KnownSecrets([b64encode(f"{user}:{password}".encode()).decode()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] not in ("http", "websocket") or self._knows(Headers(scope=scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            asks = {"WWW-Authenticate": 'Basic realm="Dagster", charset="UTF-8"'}
            answer = PlainTextResponse("Log in first.", 401, headers=asks)
            await answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})

    def _knows(self, headers: Headers) -> bool:
        scheme, _, login = headers.get("authorization", "").partition(" ")
        return login in self._known and scheme.lower() == "basic"


class WithoutQueriesByGet(DagsterWebserver[WorkspaceProcessContext, WorkspaceRequestContext]):
    """Dagster's web server, with GraphQL by POST alone."""

    async def graphql_http_endpoint(self, request: Request) -> Response:
        """Answer a query by POST, and a browser's GET with the page of GraphiQL."""
        if request.method == "GET" and "text/html" not in request.headers.get("accept", ""):
            headers = {"Allow": "POST"}
            return PlainTextResponse("Send GraphQL queries by POST.", 405, headers=headers)
        answer: Response = await super().graphql_http_endpoint(request)
        return answer


def application(
    context: WorkspaceProcessContext, host: str, login: tuple[str, str] | None = None
) -> OwnPagesOnly:
    """The guarded ASGI application of a workspace.

    Args:
        context: the workspace.
        host: the name on which the server listens, in addition to those of loopback.
        login: the user and the password to ask for, if any.
    """
    dagster = WithoutQueriesByGet(context, live_data_poll_rate=POLL_MS).create_asgi_app()
    asking = dagster if login is None else WithPassword(dagster, *login)
    return OwnPagesOnly(asking, frozenset((host.lower(), *LOOPBACK)))


def main(host: str, port: int, workspace: Path) -> None:
    """Serve until a signal, as `dagster-webserver` does.

    Args:
        host: the address to listen on, and the name in addition to those of loopback.
        port: to listen on.
        workspace: the file that says where the code server is.
    """
    login = load().dagster_login
    configure_loggers()
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_MS_MAX, POOL_RECYCLE_S, POOL_OVERFLOW_MAX)
        target = WorkspaceFileTarget(paths=[str(workspace)])
        with WorkspaceProcessContext(instance, target, version=__version__) as context:
            uvicorn.run(
                application(context, host, login), host=host, port=port, log_level="warning"
            )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
