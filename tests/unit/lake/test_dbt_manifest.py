"""Tests of dbt's calls and of the manifest file."""

import os
from pathlib import Path

import pytest
from dagster_dbt import DbtProject

from orchestration_dagster import dbt_manifest
from orchestration_dagster.dbt_manifest import PROJECT, InstalledDbt
from payment_pipeline.settings import Settings

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
]


def test_a_call_of_dbt_starts_one_process(tmp_path: Path) -> None:
    """A call of `dbt --version` would use the network each minute."""
    called = tmp_path / "called"
    dbt = stub(tmp_path, f'echo "$@" >>{called}', PROJECT)
    dbt.cli(["build"], target_path=tmp_path).wait()
    assert called.read_text().splitlines() == ["build"]


def test_dbt_alone_checks_certificates_by_trinos_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog's client in the same process has other authorities."""
    monkeypatch.setattr(dbt_manifest, "_SETTINGS", Settings(var=tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/well-known.pem")
    told = tmp_path / "told"
    dbt = stub(tmp_path, f"echo $REQUESTS_CA_BUNDLE >{told}", PROJECT)
    dbt.cli(["build"], target_path=tmp_path).wait()
    assert told.read_text().strip() == str(tmp_path / "secrets/trino.authority.pem")
    assert os.environ["REQUESTS_CA_BUNDLE"] == "/etc/well-known.pem"


def test_a_manifest_is_visible_only_when_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several processes start at once: none may read a file that another's dbt is writing."""
    (tmp_path / "dbt_project.yml").write_text("name: copied\n")
    project = DbtProject(tmp_path)
    seen = tmp_path / "seen"
    writes = f"""
        echo '{{"half' >"$DBT_TARGET_PATH/manifest.json"
        ls {tmp_path}/target | grep json >>{seen}
        echo '{{}}' >"$DBT_TARGET_PATH/manifest.json"
        echo parsed >>{seen}
    """
    monkeypatch.setattr(dbt_manifest, "PROJECT", project)
    monkeypatch.setattr(dbt_manifest, "dbt", lambda: stub(tmp_path, writes, project))
    path = dbt_manifest.manifest()
    assert path.read_text() == "{}\n"
    assert dbt_manifest.manifest() == path
    assert seen.read_text() == "parsed\n"
    assert list(path.parent.iterdir()) == [path]


def test_each_version_of_the_project_has_its_own_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deleted model must leave the manifest, although no file is newer than before."""
    (tmp_path / "dbt_project.yml").write_text("name: copied\n")
    project = DbtProject(tmp_path)
    writes = "echo '{}' >$DBT_TARGET_PATH/manifest.json"
    monkeypatch.setattr(dbt_manifest, "PROJECT", project)
    monkeypatch.setattr(dbt_manifest, "dbt", lambda: stub(tmp_path, writes, project))
    before = dbt_manifest.manifest()
    monkeypatch.setattr(dbt_manifest, "VERSION", "another")
    assert dbt_manifest.manifest() != before


def stub(folder: Path, script: str, project: DbtProject) -> InstalledDbt:
    """A dbt that runs the given script."""
    executable = folder / "dbt"
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o700)
    return InstalledDbt(project_dir=str(project.project_dir), dbt_executable=str(executable))
