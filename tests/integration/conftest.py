"""Fixtures that give one test separate tables on the shared stack."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import pytest_asyncio

from orchestration_dagster.lake.catalog import open_catalog
from payment_pipeline.adapters import postgres
from payment_pipeline.settings import Settings
from support import lake_history, lake_rows
from support.databases import migrated_schema
from support.dbt_project import Dbt, project
from support.lake_loads import own_lake


@pytest.fixture
def database_settings(stores: Settings) -> Iterator[Settings]:
    """Settings with a `dsn` of new, empty bronze tables for one test."""
    with migrated_schema(stores) as settings:
        yield settings


@pytest.fixture
def lake(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with new, empty bronze tables and an empty lake namespace for one test."""
    with own_lake(lakehouse, monkeypatch) as settings:
        yield settings


@pytest.fixture(scope="session")
def built(lakehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """The marts of the history in `lake_history`, built and tested once per run."""
    dbt = project(lakehouse, tmp_path_factory)
    lake_rows.append(open_catalog(lakehouse), dbt.data_schema, lake_history.tables())
    dbt.run("build")
    return dbt


@pytest_asyncio.fixture
async def bronze(database_settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """A pool of connections to new, empty bronze tables for one test."""
    pool = await postgres.pool(database_settings, 1, 10)
    yield pool
    await pool.close()
