"""Runs the dbt project in separate schemas for a test, and reads the tables that it builds."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from payment_pipeline.adapters.trino import authorities_environment, connect, dbt_environment
from payment_pipeline.settings import Settings
from support.repository import ROOT

PROJECT: Final = ROOT / "orchestration-dbt"


@dataclass(frozen=True)
class Dbt:
    """The dbt project on one Trino. It reads one schema, and builds schemas with a prefix."""

    settings: Settings
    target: Path
    data_schema: str
    prefix: str

    def run(self, *arguments: str, ok: bool = True) -> str:
        """Run `dbt <arguments>`, and return its output.

        Raises:
            AssertionError: dbt failed, or with `ok=False` dbt succeeded.
        """
        names = {"data_schema": self.data_schema, "schema_prefix": self.prefix}
        dbt = str(Path(sys.executable).with_name("dbt"))
        done = subprocess.run(
            [dbt, "--no-use-colors", *arguments, "--vars", json.dumps(names)],
            cwd=PROJECT,
            env={**os.environ, **self._environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query. It names tables as `<schema>.<table>`."""
        with connect(self.settings) as connection:
            return [tuple(row) for row in connection.cursor().execute(sql).fetchall()]

    def schema(self, name: str) -> str:
        """Return this run's name of the schema `staging`, `intermediate` or `marts`."""
        return f"{self.prefix}{name}"

    def columns(self, schema: str) -> dict[str, list[str]]:
        """Return the ordered columns of each table in one of this run's schemas."""
        found: dict[str, list[str]] = {}
        for table, column in self.query(
            "select table_name, column_name from information_schema.columns"
            f" where table_schema = '{self.schema(schema)}' order by ordinal_position"
        ):
            found.setdefault(table, []).append(column)
        return found

    def _environment(self) -> Mapping[str, str]:
        return {
            **dbt_environment(self.settings),
            **authorities_environment(self.settings),
            "DBT_PROFILES_DIR": str(PROJECT),
            "DBT_TARGET_PATH": str(self.target / self.prefix),
            "DBT_LOG_PATH": str(self.target / self.prefix),
        }


def project(lakehouse: Settings, folders: pytest.TempPathFactory) -> Dbt:
    """Return the project on a stack's Trino, with new schemas."""
    name = f"dbt_{uuid.uuid4().hex[:8]}_"
    return Dbt(lakehouse, folders.mktemp("dbt"), f"{name}data", name)


@cache
def described() -> dict[str, dict[str, Any]]:
    """Return the `.yml` entry of each model by name, with the file as `path`.

    The files take a second to parse, so each process parses them once. Do not change the entries.
    """
    return {
        model["name"]: model | {"path": path}
        for path in sorted(PROJECT.glob("models/**/*.yml"))
        for model in yaml.safe_load(path.read_text()).get("models", ())
    }


def models() -> list[Path]:
    """Return the `.sql` file of every model."""
    return sorted(PROJECT.glob("models/**/*.sql"))
