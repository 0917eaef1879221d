"""Filesystems of a limited size in memory, and how a test fills them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

BLOCK: Final = bytes(1024**2)


class CannotMountError(Exception):
    """This user can't mount filesystems."""


@contextmanager
def limited(path: Path, mib: int, mode: str = "0700") -> Iterator[None]:
    """Mount a filesystem of this size at a new folder until the block ends.

    Raises:
        CannotMountError: this user can't mount any.
    """
    path.mkdir()
    options = f"size={mib}m,mode={mode}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", path],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        raise CannotMountError
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill the filesystem completely until the block ends."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(BLOCK)
    try:
        yield
    finally:
        ballast.unlink()
