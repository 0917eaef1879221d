"""Reads every row and column of each dataset from Superset, which is all that a dashboard can show.

A chart shows columns of its dataset, or values computed from them. So data that is in no dataset
is in no chart.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from local_stack.components import superset
from payment_pipeline.settings import Settings

REQUEST_TIMEOUT_S: Final = 120.0
DATASETS_MAX: Final = 100
PAGE_ROWS: Final = 100_000
"""Rows per request; the most that Superset returns (its `SQL_MAX_ROW`)."""


async def all_rows(settings: Settings) -> AsyncIterator[str]:
    """Read the rows of every dataset as JSON. Superset then caches them for a while.

    Raises:
        aiohttp.ClientResponseError: Superset refuses a request, or cannot read a dataset.
        RuntimeError: there are more than `DATASETS_MAX` datasets.
    """
    async with _logged_in(settings) as session:
        listed = await _get(session, f"/api/v1/dataset/?q=(page_size:{DATASETS_MAX})")
        if listed["count"] > DATASETS_MAX:
            raise RuntimeError(
                f"Superset has {listed['count']} datasets, but only {DATASETS_MAX} would be read. "
                "Raise DATASETS_MAX."
            )
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
        # Ordered by all columns, so that each page starts where the previous page ended.
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
    """Add a dataset on a table of the lake, and delete it at the end."""
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
    """Log in as the administrator, who may see all data that any user may see."""
    who = {
        "username": superset.ADMIN,
        "password": settings.secret("superset_admin_password"),
        "provider": "db",
    }
    async with aiohttp.ClientSession(
        superset.address(settings),
        cookie_jar=aiohttp.CookieJar(unsafe=True),  # the host is an IP address
        timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
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
