"""Does a call of dbt from Dagster start dbt once, and nothing beside it?"""

from pathlib import Path

import pytest

from orchestration_dagster.dbt_manifest import PROJECT, InstalledDbt

pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
]


def test_a_call_is_one_process(tmp_path: Path) -> None:
    """`dbt --version` would ask the network each minute whether there is a newer one."""
    called = tmp_path / "called"
    stub = tmp_path / "dbt"
    stub.write_text(f'#!/bin/sh\necho "$@" >>{called}\n')
    stub.chmod(0o700)
    dbt = InstalledDbt(project_dir=str(PROJECT.project_dir), dbt_executable=str(stub))
    dbt.cli(["build"], target_path=tmp_path).wait()
    assert called.read_text().splitlines() == ["build"]
