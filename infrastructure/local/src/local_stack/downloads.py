"""What a component fetches before its first start: the types, without the means to fetch."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Download(NamedTuple):
    """Files that a component fetches before its first start."""

    title: str
    """The name of the check that asks for room."""
    folder: Path
    """The folder of the files. It may be on another disk than the stack."""
    size_mib: int
    """Room for the files, and for the archives that they are unpacked from."""
    setting: str
    """The variable that chooses another folder."""


class JarLock(NamedTuple):
    """A lock file of jars or archives."""

    path: Path
    endpoint: str = ""
    """The Maven coordinates that it is resolved from. Empty: it is written by hand."""
    is_kept: Callable[[str], bool] = lambda _name: True
    """Whether a file of an archive is kept, by its name in the archive."""
