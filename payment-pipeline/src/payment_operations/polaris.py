"""A client of Polaris: tokens, the management API, and the namespaces of a catalog.

Addresses and bodies are those of Polaris 1.4 (`spec/polaris-management-service.yml` in its
repository) and of the Iceberg REST catalog.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from payment_pipeline.adapters import client_tls
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, variable

MANAGEMENT: Final = "management/v1"
CATALOG: Final = "catalog/v1"
SUFFIX: Final = "/catalog"
"""The end of the catalog's URL. The management API is beside the catalog."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
UNKNOWN: Final = 2
"""The exit code if Polaris doesn't answer: nothing was judged."""
BODY_CHARS_MAX: Final = 300
"""The part of an answer that a message quotes."""

Json = dict[str, Any]


class Polaris:
    """A session at one Polaris, as its administrator."""

    def __init__(self, session: aiohttp.ClientSession, settings: Settings, token: str) -> None:
        self._session = session
        self._settings = settings
        self._token = token

    async def find(self, path: str) -> Json | None:
        """What is at a path below `/api`. None if nothing is there.

        Raises:
            UserError: Polaris doesn't answer, or refuses.
        """
        status, answer = await self._call("GET", path, None)
        return None if status == 404 else answer

    async def send(self, method: str, path: str, body: Mapping[str, object] | None) -> Json:
        """Changes something.

        Raises:
            UserError: Polaris doesn't answer, or refuses.
        """
        status, answer = await self._call(method, path, body)
        if status == 404:
            raise refusal(status, method, path, answer)
        return answer

    async def knows(self, client: str, secret: str) -> bool:
        """Whether Polaris gives a token to a client with this id and secret."""
        status, _ = await _token(self._session, self._settings, client, secret)
        return status == 200

    async def _call(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"{base(self._settings)}/{path}"
        try:
            async with self._session.request(method, url, json=body, headers=headers) as answer:
                return answer.status, await _json(answer, method, path)
        except (aiohttp.ClientError, TimeoutError) as failure:
            raise unreachable(self._settings, failure) from None


def base(settings: Settings) -> str:
    """The address that both APIs are below.

    Raises:
        UserError: the catalog of the settings is not Polaris's.
    """
    if not settings.catalog.endswith(f"/api{SUFFIX}"):
        raise UserError(
            f"{settings.catalog} is not the address of Polaris's catalog, which ends with "
            f"/api{SUFFIX}. Set {variable('catalog_uri')}, such as "
            f"http://polaris:8181/api{SUFFIX}."
        )
    return settings.catalog.removesuffix(SUFFIX)


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Polaris]:
    """A session as the principal `catalog_admin`.

    Raises:
        UserError: Polaris doesn't answer, or knows no such administrator.
        MissingSecretError: the administrator's secret is missing.
    """
    secret = settings.secret("catalog_admin_secret")
    tls = client_tls.context(settings, "catalog")
    connector = aiohttp.TCPConnector(ssl=tls)
    async with aiohttp.ClientSession(timeout=TIMEOUT, connector=connector) as session:
        status, token = await _token(session, settings, settings.catalog_admin, secret)
        if status != 200:
            raise UserError(
                f"Polaris at {base(settings)} refuses the principal {settings.catalog_admin}. "
                f"Compare {variable('catalog_admin_secret')} with the secret of its bootstrap.",
                exit_code=UNKNOWN,
            )
        yield Polaris(session, settings, token)


async def _token(
    session: aiohttp.ClientSession, settings: Settings, client: str, secret: str
) -> tuple[int, str]:
    """The status of Polaris's answer, and the token if the status is 200.

    Raises:
        UserError: Polaris doesn't answer, or its database is not ready.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_secret": secret,
        "scope": settings.catalog_oauth_scope,
    }
    path = f"{CATALOG}/oauth/tokens"
    try:
        async with session.post(f"{base(settings)}/{path}", data=form) as answer:
            if answer.status in (400, 401):
                return answer.status, ""
            found = await _json(answer, "POST", path)
            if not isinstance(token := found.get("access_token"), str):
                raise refusal(answer.status, "POST", path, found)
            return answer.status, token
    except (aiohttp.ClientError, TimeoutError) as failure:
        raise unreachable(settings, failure) from None


async def _json(answer: aiohttp.ClientResponse, method: str, path: str) -> Json:
    """The answer's body; empty if it has none.

    Raises:
        UserError: the status says that the call failed, or the body is no JSON object.
    """
    text = await answer.text()
    try:
        found = await answer.json(content_type=None) if text else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise refusal(answer.status, method, path, {"error": {"message": text}})
    if answer.status >= 400 and answer.status != 404:
        raise refusal(answer.status, method, path, found)
    return found


def refusal(status: int, method: str, path: str, answer: Json) -> UserError:
    """The error of an answer that is no success."""
    told = answer.get("error")
    message = told.get("message") if isinstance(told, dict) else told
    reason = f": {message}"[:BODY_CHARS_MAX] if message else ""
    remedy = (
        " Bootstrap its database, or read its log." if status >= 500 else " Compare its version."
    )
    return UserError(
        f"Polaris answered {method} {path} with {status}{reason}.{remedy}", exit_code=UNKNOWN
    )


def unreachable(settings: Settings, failure: Exception) -> UserError:
    """The error if nobody answers at the address."""
    return UserError(
        f"No Polaris answers at {base(settings)} ({type(failure).__name__}). Start it, or set "
        f"{variable('catalog_uri')}.",
        exit_code=UNKNOWN,
    )
