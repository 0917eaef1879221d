"""Tests which Java runtime is used."""

from pathlib import Path

import pytest

from local_stack import java
from payment_pipeline.domain.failures import UserError


def runtime(home: Path, version: str) -> Path:
    """A program that prints its version as a real `java` does."""
    executable = home / "bin/java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    executable.chmod(0o755)
    return executable


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.mark.parametrize(
    ("said", "version"), [("17.0.15", 17), ("25", 25), ("1.8.0_412", 8), ("26-ea", 26)]
)
def test_reads_the_feature_release(tmp_path: Path, said: str, version: int) -> None:
    assert java.version_of(runtime(tmp_path, said)) == version


def test_java_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable = runtime(tmp_path, "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java.find(17) == (executable, 21, "JAVA_HOME")


@pytest.mark.parametrize("version", ["11.0.2", "16.0.1"])
def test_a_java_home_with_an_old_java_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    runtime(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java.find(17).origin != "JAVA_HOME"


def test_a_java_home_without_java_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    assert java.find(17).origin != "JAVA_HOME"


@pytest.mark.usefixtures("nothing_else")
def test_without_the_packaged_runtime_the_path_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime(tmp_path, "24.0.1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert java.find(17).origin == "PATH"


@pytest.mark.usefixtures("nothing_else")
def test_without_any_java_the_error_says_what_to_do() -> None:
    with pytest.raises(UserError, match="set JAVA_HOME"):
        java.find(17)
