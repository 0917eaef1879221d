"""Reads and follows log files."""

import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final, TextIO

POLL_S: Final = 0.2
TAIL_BYTES_MAX: Final = 256 * 1024


def tail(path: Path, lines: int) -> str:
    """The last lines of a file. Empty if there is no file."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES_MAX))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def follow(paths: list[Path]) -> Generator[tuple[Path, str], None, None]:
    """Each line that is written after this call, without end. Files may appear and be rotated."""
    open_files: dict[Path, TextIO] = {}
    for path in paths:
        if path.exists():
            open_files[path] = path.open(errors="replace")
            open_files[path].seek(0, os.SEEK_END)
    return _follow(paths, open_files)


def _follow(
    paths: list[Path], open_files: dict[Path, TextIO]
) -> Generator[tuple[Path, str], None, None]:
    try:
        while True:
            for path in paths:
                for line in _new_lines(path, open_files):
                    yield path, line
            time.sleep(POLL_S)
    finally:
        for file in open_files.values():
            file.close()


def _new_lines(path: Path, open_files: dict[Path, TextIO]) -> Iterator[str]:
    if path in open_files:
        yield from (line.rstrip("\n") for line in open_files[path])
    if not path.exists():
        return
    before = open_files.get(path)
    if before is None or os.fstat(before.fileno()).st_ino != path.stat().st_ino:
        if before is not None:
            before.close()
        open_files[path] = path.open(errors="replace")
        yield from (line.rstrip("\n") for line in open_files[path])
