"""The dbt project: its version, its manifest, and the dbt that runs it."""

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from dagster_dbt import DbtCliInvocation, DbtCliResource, DbtProject
from packaging.version import Version

from payment_pipeline import settings as settings_module
from payment_pipeline.adapters.trino import authorities_environment
from payment_pipeline.settings import Settings

_SETTINGS: Final = settings_module.load()
PROJECT: Final = DbtProject(
    _SETTINGS.dbt_project.absolute(), target_path=_SETTINGS.cache.expanduser() / "dbt"
)
"""The project, and the folder of its manifests, which all stacks of this user share."""
_BUILT: Final = {"target", "logs", "dbt_packages"}


class InstalledDbt(DbtCliResource):
    """Dagster's dbt resource without its preparation of each call, which took seconds a run."""

    @cached_property
    def _cli_version(self) -> Version:
        """The version of the installed package. `dbt --version` would also use the network."""
        return Version(metadata.version("dbt-core"))

    def cli(self, *args: Any, **kwargs: Any) -> DbtCliInvocation:  # noqa: ANN401 - as its parent
        """Starts dbt, with the authorities of Trino's certificate in its environment alone."""
        with settings_module.exported(authorities_environment(_SETTINGS)):
            return super().cli(*args, **kwargs)

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:  # noqa: ANN401, ARG002
        """Returns none. Dagster would use an adapter to fetch columns and row counts."""
        return None


def dbt() -> InstalledDbt:
    """The dbt of this Python's environment. It reads Trino's address from `DBT_TRINO_*`."""
    return InstalledDbt(
        project_dir=str(PROJECT.project_dir),
        profiles_dir=str(PROJECT.profiles_dir),
        dbt_executable=str(Path(sys.executable).with_name("dbt")),
    )


def dbt_target(settings: Settings) -> Path:
    """The folder that dbt's runs write to; the pool `marts` allows one run at a time.

    All runs share it, so dbt finds its last parse there. A folder for each run would fill the disk
    with megabytes a minute.
    """
    return settings.var.absolute() / "dbt"


def manifest() -> Path:
    """The path of this version's manifest, which is made by the first call.

    Each run loads the manifest, and parsing the project takes seconds, so the file is kept.
    Several processes of Dagster start at the same time and may all find no file. dbt doesn't write
    its file atomically, so each process parses in a temporary folder and then moves the finished
    file to this path.
    """
    path = PROJECT.manifest_path.with_name(f"manifest-{VERSION}.json")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:
            dbt().cli(["parse", "--quiet"], target_path=Path(folder)).wait()
            Path(folder, PROJECT.manifest_path.name).replace(path)
    return path


def unaffected_by_loads(found: Mapping[str, Any]) -> set[str]:
    """The ids of nodes that new source rows don't change: views, and models of seeds alone."""
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
    """A hash of the project's files and of dbt's version."""
    digest = sha256(metadata.version("dbt-core").encode())
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder)} {path.stat().st_size} ".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _files(folder: Path) -> list[Path]:
    """All files of the project, without those that dbt writes."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in _BUILT
    )


VERSION: Final = _version(PROJECT.project_dir)
"""The project's version when this process started."""
