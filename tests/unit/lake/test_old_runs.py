"""Tests that old runs are deleted with their events and logs, and no other runs."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration_dagster.defs.maintenance import old_runs

pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")


def test_only_old_finished_runs_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        old, unfinished = (
            instance.create_run_for_job(old_runs.forget_old_runs, status=status)
            for status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED)
        )
        log = tmp_path / "storage" / old.run_id / "compute_logs" / "step.err"
        log.parent.mkdir(parents=True)
        log.write_text("what it said")
        assert old_runs.forget_old_runs.execute_in_process(instance=instance).success
        assert instance.has_run(old.run_id), "two weeks are not over"
        monkeypatch.setattr(old_runs, "RUNS_KEPT", timedelta(0))
        assert old_runs.forget_old_runs.execute_in_process(instance=instance).success
        assert not instance.has_run(old.run_id)
        assert not log.exists()
        assert instance.has_run(unfinished.run_id)
