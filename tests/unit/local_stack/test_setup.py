"""Tests that `make setup` refuses a machine without room before it makes anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.repository import ROOT

NEEDED = ("infrastructure/local/setup", "infrastructure/locks/requirements.txt", "pyproject.toml")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in NEEDED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_disk_without_room_gives_an_error_before_anything_is_made(
    clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    programs = tmp_path_factory.mktemp("programs")
    program(
        programs, "df", 'echo "Filesystem 1024-blocks"; echo "disk 9000000 8000000 1000000 90% /"'
    )
    said = subprocess.run(
        ["/bin/sh", clone / "infrastructure/local/setup"],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert said.stderr.startswith("setup: 976 MiB free on this disk, 2400 MiB needed")
    assert not (clone / ".venv").exists()
