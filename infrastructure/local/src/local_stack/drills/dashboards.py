"""What may a dashboard show? Every row and column of each dataset, as Superset itself answers it.

A chart is a selection of its dataset's columns, or made of them: what none holds no chart shows.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from local_stack import superset
from payment_pipeline.settings import Settings

ANSWERED_S: Final = 120.0
DATASETS_MAX: Final = 100
ROWS_MAX: Final = 100_000
"""Of a dataset; the most that Superset answers (its `SQL_MAX_ROW`)."""


async def shown(settings: Settings) -> list[str]:
    """The rows of every dataset as JSON; they stay in Superset's cache for a while.

    Raises:
        aiohttp.ClientResponseError: Superset refuses; a dataset that can't be read is an error too.
        RuntimeError: there is more than can be looked at in one answer.
    """
    rows: list[str] = []
    async with _logged_in(settings) as session:
        listed = await _get(session, f"/api/v1/dataset/?q=(page_size:{DATASETS_MAX})")
        if listed["count"] > DATASETS_MAX:
            raise RuntimeError(f"of {listed['count']} datasets only {DATASETS_MAX} are looked at")
        for dataset in listed["result"]:
            known = await _get(session, f"/api/v1/dataset/{dataset['id']}")
            asked = {
                "datasource": {"id": dataset["id"], "type": "table"},
                "queries": [
                    {
                        "columns": [each["column_name"] for each in known["result"]["columns"]],
                        "row_limit": ROWS_MAX,
                    }
                ],
            }
            async with session.post("/api/v1/chart/data", json=asked) as answer:
                (found,) = (await answer.json())["result"]
            if len(found["data"]) >= ROWS_MAX:
                raise RuntimeError(f"{dataset['table_name']} has over {ROWS_MAX} rows")
            rows += [json.dumps(row, ensure_ascii=False) for row in found["data"]]
    return rows


@asynccontextmanager
async def dataset(settings: Settings, schema: str, table: str) -> AsyncIterator[None]:
    """One more, of a table of the lake; gone at the end."""
    async with _logged_in(settings) as session:
        (database,) = (await _get(session, "/api/v1/database/"))["result"]
        wanted = {"database": database["id"], "schema": schema, "table_name": table}
        async with session.post("/api/v1/dataset/", json=wanted) as answer:
            made = (await answer.json())["id"]
        try:
            yield
        finally:
            async with session.delete(f"/api/v1/dataset/{made}"):
                pass


@asynccontextmanager
async def _logged_in(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """As the administrator, who may see everything that anybody may."""
    who = {
        "username": superset.ADMIN,
        "password": settings.secret("superset_admin_password"),
        "provider": "db",
    }
    async with aiohttp.ClientSession(
        superset.address(settings),
        cookie_jar=aiohttp.CookieJar(unsafe=True),  # an address has no name to keep them under
        timeout=aiohttp.ClientTimeout(total=ANSWERED_S),
        raise_for_status=True,
    ) as session:
        async with session.post("/api/v1/security/login", json=who) as answer:
            token = (await answer.json())["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        csrf = await _get(session, "/api/v1/security/csrf_token/")
        session.headers["X-CSRFToken"] = csrf["result"]
        yield session


async def _get(session: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with session.get(path) as answer:
        found: dict[str, Any] = await answer.json()
        return found
