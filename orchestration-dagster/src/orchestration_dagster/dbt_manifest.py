"""What is in the dbt project? Its manifest, parsed anew only when a file of it has changed."""

import sys
from pathlib import Path
from typing import Final

from dagster_dbt import DbtCliResource, DbtProject

from payment_pipeline.settings import REPOSITORY

PROJECT: Final = DbtProject(REPOSITORY / "orchestration-dbt")
_BUILT: Final = {"target", "logs", "dbt_packages"}


def dbt() -> DbtCliResource:
    """The dbt beside this Python; where Trino is, it reads in the environment."""
    return DbtCliResource(PROJECT, dbt_executable=Path(sys.executable).with_name("dbt"))


def manifest() -> Path:
    """The manifest's path, up to date: each run loads it, and parsing takes seconds."""
    path = PROJECT.manifest_path
    if not path.exists() or path.stat().st_mtime < _changed_at(PROJECT.project_dir):
        dbt().cli(["parse", "--quiet"], target_path=PROJECT.target_path).wait()
        path.touch()
    return path


def _changed_at(folder: Path) -> float:
    """When a file of the project changed last; what dbt itself writes is none."""
    return max(
        path.stat().st_mtime
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in _BUILT
    )
