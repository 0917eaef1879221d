"""Tests that every package is locked with its hash, and that other bytes are refused."""

import os
import re
import subprocess
import sys
import venv
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from support.repository import ROOT

LOCKS = sorted((ROOT / "infrastructure/locks").glob("*.txt"))
SCRIPTS = ROOT / "infrastructure/local"
PINNED = re.compile(r"[a-z0-9][a-z0-9.-]*(\[[a-z0-9, -]+\])?==\d\S*[\s\\]")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_each_package_has_one_version_and_its_hashes(lock: Path) -> None:
    packages = re.split(r"^(?=\S)", lock.read_text(), flags=re.MULTILINE)[1:]
    assert len(packages) > 5
    for package in packages:
        assert PINNED.match(package), package
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", package), package


def test_every_script_installs_with_required_hashes() -> None:
    scripts = [SCRIPTS / name for name in ("setup", "setup-beside", "uv-sync")]
    text = "\n".join(path.read_text().replace("\\\n", " ") for path in scripts)
    commands = [line for line in text.splitlines() if re.search(r"\bpip (install|sync)\b", line)]
    assert len(commands) == 3
    for command in commands:
        ours = "--editable ." in command and "--no-deps --no-build-isolation" in command
        assert ours or "--require-hashes" in command, command


@pytest.mark.parametrize("exchanged", [False, True], ids=["genuine", "exchanged"])
def test_a_package_whose_bytes_differ_is_not_installed(tmp_path: Path, exchanged: bool) -> None:
    """Installs as `make setup` does, from a folder instead of a registry."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    venv.create(tmp_path / "made")
    digest = wheel(tmp_path / "wheels", "x = 1")
    if exchanged:
        assert wheel(tmp_path / "wheels", "x = 2") != digest
    (tmp_path / "lock.txt").write_text(f"example==1.0 --hash=sha256:{digest}\n")
    done = subprocess.run(
        [SCRIPTS / "uv-sync", "made", "lock.txt"],
        cwd=tmp_path,
        env={
            **os.environ,
            "UV_CACHE_DIR": str(tmp_path / "cache"),
            "UV_FIND_LINKS": str(tmp_path / "wheels"),
            "UV_NO_INDEX": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    installed = list((tmp_path / "made").rglob("example.py"))
    assert (done.returncode == 0, len(installed)) == ((False, 0) if exchanged else (True, 1))
    assert ("Hash mismatch" in done.stderr) is exchanged, done.stderr


def wheel(folder: Path, code: str) -> str:
    """Write a package of one module, and return its hash."""
    folder.mkdir(exist_ok=True)
    path = folder / "example-1.0-py3-none-any.whl"
    info = "example-1.0.dist-info"
    with ZipFile(path, "w") as archive:
        archive.writestr("example.py", code)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"example.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return sha256(path.read_bytes()).hexdigest()
