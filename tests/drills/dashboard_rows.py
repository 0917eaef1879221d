"""What may a dashboard show? Every row and column of each dataset, as Superset itself answers it.

A chart is a selection of its dataset's columns, or made of them: what none holds no chart shows.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from local_stack.components import superset
from payment_pipeline.settings import Settings

ANSWERED_S: Final = 120.0
DATASETS_MAX: Final = 100
PAGE_ROWS: Final = 100_000
"""Of a dataset, at once; the most that Superset answers (its `SQL_MAX_ROW`)."""


async def all_rows(settings: Settings) -> AsyncIterator[str]:
    """The rows of every dataset as JSON; they stay in Superset's cache for a while.

    Raises:
        aiohttp.ClientResponseError: Superset refuses; a dataset that can't be read is an error too.
        RuntimeError: there are more datasets than are looked at.
    """
    async with _logged_in(settings) as session:
        listed = await _get(session, f"/api/v1/dataset/?q=(page_size:{DATASETS_MAX})")
        if listed["count"] > DATASETS_MAX:
            raise RuntimeError(f"of {listed['count']} datasets only {DATASETS_MAX} are looked at")
        for found in listed["result"]:
            known = await _get(session, f"/api/v1/dataset/{found['id']}")
            columns = [each["column_name"] for each in known["result"]["columns"]]
            async for row in _rows(session, found["id"], columns):
                yield json.dumps(row, ensure_ascii=False)


async def _rows(
    session: aiohttp.ClientSession, dataset_id: int, columns: list[str]
) -> AsyncIterator[dict[str, Any]]:
    asked: dict[str, Any] = {
        "columns": columns,
        # By all of them, so that each page begins where the one before it ended.
        "orderby": [[name, True] for name in columns],
        "row_limit": PAGE_ROWS,
        "row_offset": 0,
    }
    while True:
        request = {"datasource": {"id": dataset_id, "type": "table"}, "queries": [asked]}
        async with session.post("/api/v1/chart/data", json=request) as answer:
            (found,) = (await answer.json())["result"]
        for row in found["data"]:
            yield row
        if len(found["data"]) < PAGE_ROWS:
            return
        asked["row_offset"] += PAGE_ROWS


@asynccontextmanager
async def temporary_dataset(settings: Settings, schema: str, table: str) -> AsyncIterator[None]:
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
