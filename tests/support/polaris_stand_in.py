"""A stand-in for Polaris's token and management APIs, for tests of their client.

It keeps names and grants in memory. Its answers are those that a real Polaris 1.4.1 gave to the
same calls: `tests/integration/test_polaris.py` runs the client against a real one.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

Json = dict[str, Any]


@dataclass
class State:
    """What the stand-in knows. A test may change it."""

    url: str = ""
    clients: dict[str, str] = field(default_factory=lambda: {"root": "the-secret-of-the-root"})
    catalogs: dict[str, Json] = field(default_factory=dict)
    namespaces: list[str] = field(default_factory=list)
    principals: set[str] = field(default_factory=lambda: {"root"})
    principal_roles: set[str] = field(default_factory=lambda: {"service_admin"})
    members: set[tuple[str, str]] = field(default_factory=lambda: {("root", "service_admin")})
    catalog_roles: dict[str, list[Json]] = field(default_factory=dict)
    holders: set[tuple[str, str]] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    """The method and the path of each call that changes something."""
    failure: int = 0
    """The status of every answer, unless 0."""


@contextmanager
def running() -> Iterator[State]:
    """The state of a stand-in that listens on loopback."""
    state = State()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer("GET")

        def do_POST(self) -> None:
            self.answer("POST")

        def do_PUT(self) -> None:
            self.answer("PUT")

        def do_DELETE(self) -> None:
            self.answer("DELETE")

        def log_message(self, *_: object) -> None:
            """Not on the terminal."""

        def answer(self, method: str) -> None:
            body: Any
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            path = self.path.removeprefix("/api/")
            if path.endswith("/oauth/tokens"):
                status, body = _token(state, parse_qs(raw))
            else:
                if method != "GET":
                    state.calls.append(f"{method} {path}")
                status, body = respond(state, method, path, json.loads(raw or "null"))
            if state.failure:
                status, body = state.failure, {"error": {"message": "out of order"}}
            text = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}/api/catalog"
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield state
        finally:
            server.shutdown()
            serving.join()


def _token(state: State, form: dict[str, list[str]]) -> tuple[int, Json]:
    client, secret = form["client_id"][0], form["client_secret"][0]
    if state.clients.get(client) != secret:
        return 401, {"error": "unauthorized_client"}
    return 200, {"access_token": f"token-of-{client}"}


def respond(state: State, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: ANN401, C901
    """The status and the body of an answer."""
    match method, re.sub(r"^(management|catalog)/v1/", r"\1/", path).split("/"):
        case "GET", ["management", "catalogs", name]:
            return _found(state.catalogs.get(name))
        case "POST", ["management", "catalogs"]:
            made = body["catalog"]
            state.catalogs[made["name"]] = {**made, "entityVersion": 1}
            state.catalog_roles["catalog_admin"] = []
            state.holders.add(("service_admin", "catalog_admin"))
            return 201, made
        case "PUT", ["management", "catalogs", name]:
            state.catalogs[name] |= {key: body[key] for key in ("properties", "storageConfigInfo")}
            return 200, state.catalogs[name]
        case "GET", ["catalog", _, "namespaces"]:
            return 200, {"namespaces": [[name] for name in state.namespaces]}
        case "POST", ["catalog", _, "namespaces"]:
            state.namespaces.append(body["namespace"][0])
            return 200, body
        case "POST", ["management", "principals" | "principal-roles" as folder]:
            is_role = folder == "principal-roles"
            name = body["principalRole" if is_role else "principal"]["name"]
            known = state.principal_roles if is_role else state.principals
            if name in known:
                return 409, {"error": {"message": f"{name} already exists"}}
            known.add(name)
            return 201, {}
        case "GET", ["management", "principals", name]:
            return _found({"name": name} if name in state.principals else None)
        case "POST", ["management", "principals", _, "reset"]:
            state.clients[body["clientId"]] = body["clientSecret"]
            return 200, {"credentials": body}
        case "PUT", ["management", "principals", name, "principal-roles"]:
            return _add(state.members, (name, body["principalRole"]["name"]))
        case "DELETE", ["management", "principals", name, "principal-roles", role]:
            state.members.remove((name, role))
            return 204, None
        case "GET", ["management", "principal-roles", role, "principals"]:
            if role not in state.principal_roles:
                return _found(None)
            names = sorted(name for name, held in state.members if held == role)
            return 200, {"principals": [{"name": name} for name in names]}
        case "PUT", ["management", "principal-roles", role, "catalog-roles", _]:
            return _add(state.holders, (role, body["catalogRole"]["name"]))
        case "DELETE", ["management", "principal-roles", role, "catalog-roles", _, held]:
            state.holders.remove((role, held))
            return 204, None
        case _, ["management", "catalogs", _, "catalog-roles", *rest]:
            return _catalog_role(state, method, rest, body)
    return 405, {"error": {"message": f"the stand-in has no {method} {path}"}}


def _catalog_role(state: State, method: str, rest: list[str], body: Any) -> tuple[int, Any]:  # noqa: ANN401
    match method, rest:
        case "GET", []:
            return 200, {"roles": [{"name": name} for name in state.catalog_roles]}
        case "POST", []:
            state.catalog_roles[body["catalogRole"]["name"]] = []
            return 201, {}
        case "GET", [role, "grants"]:
            return 200, {"grants": state.catalog_roles[role]}
        case "PUT", [role, "grants"]:
            state.catalog_roles[role].append(body["grant"])
            return 201, None
        case "POST", [role, "grants"]:
            state.catalog_roles[role].remove(body["grant"])
            return 201, None
        case "GET", [role, "principal-roles"]:
            return 200, {"roles": [{"name": name} for name, held in state.holders if held == role]}
    return 405, {"error": {"message": "no such call"}}


def _found(what: Json | None) -> tuple[int, Json]:
    return (404, {"error": {"message": "does not exist"}}) if what is None else (200, what)


def _add(pairs: set[tuple[str, str]], pair: tuple[str, str]) -> tuple[int, Any]:
    """A real Polaris on PostgreSQL answers 500 to a role that is already given."""
    if pair in pairs:
        return 500, {"error": {"message": "duplicate key value violates unique constraint"}}
    pairs.add(pair)
    return 201, None
