"""Tests that the native stack starts once, restarts dead components, and leaves no process."""

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from conftest import STORES, stack_settings
from local_stack import process, stack, supervisor
from local_stack.stack import down
from payment_operations.stack_start import up
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from support import commands, processes
from support.listeners import ports_and_strangers

pytestmark = pytest.mark.stack

StackOf = Callable[..., Settings]


def pids(settings: Settings, names: tuple[str, ...] = STORES) -> dict[str, int]:
    return {name: processes.pid_of(settings, name) for name in names}


def gone(found: dict[str, int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in found.values())


def test_stores_answer_and_are_provisioned(stores: Settings) -> None:
    with psycopg.connect(stores.dsn) as connection:
        assert connection.execute("SELECT to_regclass('payment_events')").fetchone() != (None,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_a_wrong_password_is_refused(stores: Settings) -> None:
    wrong = stores.dsn.replace(stores.secret("postgres_password"), "wrong")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(wrong)


def test_every_listener_is_on_loopback(stores: Settings) -> None:
    inside, outside = ports_and_strangers(stores)
    assert outside == []
    assert {stores.kafka_port, stores.postgres_port, stores.temporal_port} <= inside
    assert stores.temporal_ui_port in inside


def test_a_second_up_changes_nothing(stores: Settings) -> None:
    before = pids(stores)
    up(stores, only=STORES)
    assert pids(stores) == before


def test_up_works_inside_a_running_loop(stores: Settings) -> None:
    async def call() -> None:
        up(stores, only=STORES)

    asyncio.run(call())


@pytest.mark.faults
@pytest.mark.parametrize("name", STORES)
async def test_a_killed_store_comes_back(stores: Settings, name: str) -> None:
    killed = processes.kill(stores, name)
    await processes.wait_ready(stores, name, not_pid=killed)
    assert processes.pid_of(stores, name) != killed


def test_down_leaves_no_process_and_up_finds_the_data(fresh_stack: StackOf) -> None:
    settings = fresh_stack("postgres")
    with psycopg.connect(settings.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    before = process.members(settings)
    assert len(before) > 1

    assert down(settings) == 0, "supervisord stopped them all"
    assert process.members(settings) == []
    assert not any(member.is_running() for member in before)

    up(settings, only=("postgres",))
    with psycopg.connect(settings.dsn) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


@pytest.mark.faults
def test_down_ends_the_processes_of_a_killed_supervisord(fresh_stack: StackOf) -> None:
    settings = fresh_stack("postgres", "temporal")
    left = pids(settings, ("postgres", "temporal"))
    os.kill(supervisor.call(settings, "getPID"), signal.SIGKILL)
    assert all(psutil.pid_exists(pid) for pid in left.values())

    down(settings)
    assert process.members(settings) == []
    assert gone(left)


@pytest.mark.faults
def test_up_replaces_the_processes_of_a_killed_supervisord(fresh_stack: StackOf) -> None:
    settings = fresh_stack("temporal")
    left = pids(settings, ("temporal",))
    os.kill(supervisor.call(settings, "getPID"), signal.SIGKILL)

    up(settings, only=("temporal",))
    assert gone(left)
    assert processes.pid_of(settings, "temporal") not in left.values()


def test_a_process_with_the_same_settings_is_not_part_of_the_stack(fresh_stack: StackOf) -> None:
    settings = fresh_stack("temporal")
    environment = commands.environment(settings)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], env=environment, cwd=settings.var, stdin=subprocess.PIPE
    ) as bystander:
        assert bystander.pid not in {member.pid for member in process.members(settings)}
        down(settings)
        assert bystander.poll() is None
        bystander.communicate(b"\n")


def test_a_component_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    settings = stack_settings(tmp_path)
    (tmp_path / "postgres").mkdir(mode=0o700)
    (tmp_path / "postgres/PG_VERSION").write_text("no cluster\n")
    try:
        with pytest.raises(UserError, match=r"postgres ends as soon as it has started") as failure:
            up(settings, only=("postgres",))
    finally:
        down(settings)
    assert failure.value.exit_code == 1
    assert "postgres.log" in str(failure.value)


def test_two_stacks_run_side_by_side(stores: Settings, fresh_stack: StackOf) -> None:
    other = fresh_stack("temporal")
    mine, theirs = process.members(stores), process.members(other)
    assert not {member.pid for member in mine} & {member.pid for member in theirs}
    down(other)
    assert all(standing.ready for standing in stack.status(stores) if standing.name in STORES)
    with socket.socket() as caller:
        assert caller.connect_ex((other.host, other.temporal_port)) == errno.ECONNREFUSED
