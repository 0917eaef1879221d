"""The product's wheel: its build, and its installation into an empty environment, without network.

The environment has the wheel's base dependencies and none of the extras `local`, `lakehouse` and
`dev`. Their files are links to the installed packages of this checkout's `.venv`.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path, PurePath
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.repository import ROOT

PROJECT: Final = "payment-pipeline"
UV: Final = str(Path(sys.executable).with_name("uv"))


def build(folder: Path) -> Path:
    """Builds the wheel from the checkout; returns its path in `folder`."""
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> Path:
    """Makes an environment with the wheel and its base dependencies; returns its `bin` folder."""
    _run(UV, "venv", "--quiet", "--python", sys.executable, environment)
    python = environment / "bin/python"
    (site_packages,) = environment.glob("lib/python*/site-packages")
    for name in sorted(_dependencies(PROJECT)):
        _link(metadata.distribution(name), site_packages)
    _run(UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, wheel)
    _run(UV, "pip", "check", "--quiet", "--python", python)
    return python.parent


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _dependencies(project: str) -> set[str]:
    """The names of all packages that a project needs, directly or not, without its extras."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(project), frozenset[str]())]
    while waiting:
        name, extras = waiting.pop()
        for requirement in map(Requirement, metadata.requires(name) or ()):
            needed = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            if needed not in found and _applies(requirement, extras):
                found.add(needed)
                waiting.append(needed)
    return {name for name, _ in found}


def _applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _link(package: metadata.Distribution, site_packages: Path) -> None:
    """Links an installed package's folders and files into another environment."""
    source = Path(str(package.locate_file("")))
    for part in {_whole(source, file) for file in _in_site_packages(package)}:
        target = site_packages / part
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source / part)


def _in_site_packages(package: metadata.Distribution) -> Iterator[PurePath]:
    for file in package.files or ():
        if file.parts[0] != ".." and "__pycache__" not in file.parts:
            yield file


def _whole(source: Path, file: PurePath) -> PurePath:
    """The outermost folder of a file that belongs to one package alone, or the file itself.

    A namespace, a folder without `__init__.py`, may belong to several packages.
    """
    for folder in reversed(file.parents[:-1]):
        if folder.suffix == ".libs" or (source / folder / "__init__.py").exists():
            return folder
    return file
