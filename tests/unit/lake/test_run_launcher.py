"""Tests that a run fails when its process has ended, and goes on otherwise."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from local_stack.dagster import TEMPLATE

JOB = dg.JobDefinition(name="load", graph_def=dg.GraphDefinition(name="load"))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with the stack's configuration, and another storage."""
    ours = yaml.safe_load(TEMPLATE.read_text())
    wanted = {name: ours[name] for name in ("run_launcher", "run_monitoring")}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=wanted) as found:
        yield found


def after_a_look(instance: dg.DagsterInstance, pid: int, began_at: float) -> dg.DagsterRunStatus:
    """The status, after the monitor's check, of a run that this process started at `at`."""
    run = instance.create_run_for_job(JOB)
    started = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name, pid=pid)
    instance.report_dagster_event(started, run.run_id, timestamp=began_at)
    record = instance.get_run_record_by_id(run.run_id)
    assert record
    assert record.dagster_run.status is dg.DagsterRunStatus.STARTED
    monitor_started_run(instance, None, record, logging.getLogger(__name__))  # type: ignore[arg-type]
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found.status


def test_a_run_whose_process_exists_goes_on(instance: dg.DagsterInstance) -> None:
    assert after_a_look(instance, os.getpid(), time.time()) is dg.DagsterRunStatus.STARTED


def test_a_run_whose_process_has_ended_fails(instance: dg.DagsterInstance) -> None:
    """Dagster then retries it. Otherwise the next micro-batch would wait for it for ever."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert after_a_look(instance, ended.pid, time.time()) is dg.DagsterRunStatus.FAILURE


def test_a_run_whose_process_is_a_zombie_fails(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        while psutil.Process(ended.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert after_a_look(instance, ended.pid, time.time()) is dg.DagsterRunStatus.FAILURE


def test_a_newer_process_with_the_same_pid_is_not_the_run(instance: dg.DagsterInstance) -> None:
    """This may happen after a restart of the machine."""
    an_hour_ago = time.time() - 3600
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as younger:
        assert after_a_look(instance, younger.pid, an_hour_ago) is dg.DagsterRunStatus.FAILURE
