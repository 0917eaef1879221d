"""What is in the dbt project, and which version is it? Each version is parsed once."""

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from dagster_dbt import DbtCliResource, DbtProject
from packaging.version import Version

from payment_pipeline import settings as settings_module
from payment_pipeline.settings import Settings

_SETTINGS: Final = settings_module.load()
PROJECT: Final = DbtProject(
    _SETTINGS.dbt_project.absolute(), target_path=_SETTINGS.cache.expanduser() / "dbt"
)
"""The project, and the folder of its manifests, which all stacks of this user share."""
_BUILT: Final = {"target", "logs", "dbt_packages"}


class InstalledDbt(DbtCliResource):
    """Dagster's, without what it prepares for each call: seconds of each minute's run."""

    @cached_property
    def _cli_version(self) -> Version:
        """Of the package: `dbt --version` asks the network too whether there is a newer one."""
        return Version(metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:  # noqa: ANN401, ARG002
        """None: it would fetch columns and row counts, which nobody asks for."""
        return None


def dbt() -> InstalledDbt:
    """The dbt beside this Python; where Trino is, it reads in the environment."""
    return InstalledDbt(
        project_dir=str(PROJECT.project_dir),
        profiles_dir=str(PROJECT.profiles_dir),
        dbt_executable=str(Path(sys.executable).with_name("dbt")),
    )


def dbt_target(settings: Settings) -> Path:
    """Where runs write, one after another, as the pool keeps them apart.

    dbt finds there what it parsed last; a folder a run would fill the disk with megabytes a minute.
    """
    return settings.var.absolute() / "dbt"


def manifest() -> Path:
    """The path of this version's manifest: each run loads it, and parsing takes seconds.

    Dagster's processes start at once, and each may find none. dbt writes in place, so each parses
    in a folder of its own, and a whole file gets the name that the others look for.
    """
    path = PROJECT.manifest_path.with_name(f"manifest-{VERSION}.json")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:
            dbt().cli(["parse", "--quiet"], target_path=Path(folder)).wait()
            Path(folder, PROJECT.manifest_path.name).replace(path)
    return path


def unaffected_by_loads(found: Mapping[str, Any]) -> set[str]:
    """The ids of what new rows in the sources change nothing of: views, and all made of seeds."""
    nodes: Mapping[str, Any] = found["nodes"]

    def reads_a_source(node: str) -> bool:
        return node.startswith("source.") or any(map(reads_a_source, found["parent_map"][node]))

    return {
        node
        for node, says in nodes.items()
        if says["resource_type"] in {"model", "seed"}
        and (says["config"]["materialized"] == "view" or not reads_a_source(node))
    }


def _version(folder: Path) -> str:
    """The same as long as no file of the project changes, nor dbt."""
    digest = sha256(metadata.version("dbt-core").encode())
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder)} {path.stat().st_size} ".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _files(folder: Path) -> list[Path]:
    """The project's own; what dbt itself writes is none."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in _BUILT
    )


VERSION: Final = _version(PROJECT.project_dir)
"""Of the whole project, as it was when this process began."""
