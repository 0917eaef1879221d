"""Tests the checks before a start, and that nothing starts while one is red."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from local_stack import files, generated_secrets, jars, java, preflight, process
from local_stack.component import Check
from local_stack.components import chosen, components, kafka, trino
from payment_operations.stack_start import up
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from support import commands

SettingsOf = Callable[..., Settings]


def the_check(settings: Settings, name: str, *named: str) -> Check:
    found = preflight.checks(settings, tuple(components()[each] for each in named))
    return next(check for check in found if check.name == name)


@pytest.fixture
def listener() -> Iterator[int]:
    """A port on which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_named_with_its_listener_and_its_setting(
    isolated: SettingsOf, listener: int
) -> None:
    check = the_check(isolated(gateway_port=listener), f"Port {listener}", "gateway")
    assert not check.ok
    assert str(os.getpid()) in check.finding
    assert "PAYMENTS_GATEWAY_PORT" in check.remedy


def test_nothing_starts_while_a_check_is_red(isolated: SettingsOf, listener: int) -> None:
    settings = isolated(gateway_port=listener)
    with pytest.raises(UserError, match="PAYMENTS_GATEWAY_PORT") as refusal:
        up(settings)
    assert refusal.value.exit_code == 1
    assert not any(settings.secrets_dir.iterdir())
    assert {path.name for path in settings.var.iterdir()} == {"log", "run", "secrets"}
    assert process.members(settings) == []


def test_a_port_on_every_address_is_taken_on_loopback_too(isolated: SettingsOf) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        check = the_check(isolated(kafka_port=port), f"Port {port}", "kafka")
    assert not check.ok


def test_a_port_is_taken_even_if_the_system_hides_its_listener(
    isolated: SettingsOf, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(_kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", hidden)
    check = the_check(isolated(gateway_port=listener), f"Port {listener}", "gateway")
    assert not check.ok
    assert check.finding == "gateway's port is taken"


def test_two_components_on_one_port_are_red(isolated: SettingsOf) -> None:
    settings = isolated(gateway_port=20_001, inference_port=20_001)
    check = the_check(settings, "Port 20001", "gateway", "inference")
    assert not check.ok
    assert "PAYMENTS_GATEWAY_PORT" in check.remedy


def test_a_component_that_runs_elsewhere_needs_no_port_here(
    isolated: SettingsOf, listener: int
) -> None:
    settings = isolated(kafka_port=listener, kafka_bootstrap_servers="kafka.example:9092")
    assert all(check.ok for check in preflight.checks(settings, (components()["kafka"],)))


def disks(
    monkeypatch: pytest.MonkeyPatch, free: dict[Path, int], others: int = 100 * 1024**3
) -> None:
    """Set the free bytes of each folder."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, free.get(path, others)))


def test_a_full_disk_is_red(isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch) -> None:
    disks(monkeypatch, {}, others=0)
    check = the_check(isolated(), "Disk", "kafka")
    assert not check.ok
    assert "PAYMENTS_VAR" in check.remedy


def test_a_cache_without_room_for_trino_is_red(
    isolated: SettingsOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_disk = tmp_path / "cache"
    other_disk.mkdir()
    disks(monkeypatch, {other_disk: 1})
    settings = isolated(cache=other_disk)
    assert the_check(settings, "Disk", "trino").ok
    assert not the_check(settings, "Cache", "trino").ok
    trino.home(settings).mkdir()  # Trino is unpacked already
    assert "Cache" not in {
        check.name for check in preflight.checks(settings, (components()["trino"],))
    }


def test_a_cache_that_can_not_be_written_is_red(isolated: SettingsOf, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    unwritable = the_check(isolated(cache=tmp_path / "cache"), "Cache", "trino")
    assert not unwritable.ok
    assert "can't be written (Not a directory)" in unwritable.finding
    assert "PAYMENTS_CACHE" in unwritable.remedy


def test_a_jar_folder_without_room_or_permission_is_red(
    isolated: SettingsOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("M2_REPO", str(home / ".m2/repository"))
    disks(monkeypatch, {home: 1})
    full = the_check(isolated(), "Jars", "kafka")
    assert not full.ok
    assert "M2_REPO" in full.remedy
    home.rmdir()
    home.write_text("no folder")
    unwritable = the_check(isolated(), "Jars", "kafka")
    assert "can't be written (Not a directory)" in unwritable.finding
    nothing_to_fetch = preflight.checks(isolated(), (components()["gateway"],))
    assert "Jars" not in {check.name for check in nothing_to_fetch}


def test_jars_that_are_fetched_already_need_no_room(
    isolated: SettingsOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M2_REPO", str(tmp_path))
    for jar in jars.paths(kafka.JARS.path):
        jar.parent.mkdir(parents=True, exist_ok=True)
        jar.touch()
    found = preflight.checks(isolated(), (components()["kafka"],))
    assert "Jars" not in {check.name for check in found}


def test_memory_for_the_pipeline_may_be_too_little_for_trino(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = namedtuple("memory", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(3 * 1024**3))
    assert the_check(isolated(), "Memory", *(each.name for each in chosen())).ok
    both = chosen(groups=("lakehouse",))
    check = the_check(isolated(trino_heap_mib=4096), "Memory", *(each.name for each in both))
    assert not check.ok
    needed_mib = 4096 + sum(each.memory_mib for each in both)
    assert f"{needed_mib:,} MiB needed" in check.finding
    assert needed_mib >= 8192


def test_an_old_python_is_red(isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    check = the_check(isolated(), "Python")
    assert not check.ok
    assert "3.10.4" in check.finding
    assert "3.11" in check.remedy


def test_a_folder_that_can_not_be_made_is_red(isolated: SettingsOf, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = the_check(isolated(var=tmp_path / "file" / "var"), "Folder")
    assert not check.ok
    assert "PAYMENTS_VAR" in check.remedy


def test_a_folder_that_supervisord_would_read_as_a_comment_is_red(
    isolated: SettingsOf, tmp_path: Path
) -> None:
    assert not the_check(isolated(var=tmp_path / "stack #1"), "Folder").ok


def test_a_short_secret_in_a_file_is_red_and_not_shown(isolated: SettingsOf) -> None:
    settings = isolated()
    files.make_folders(settings)
    files.write_private(settings.secrets_dir / "trino_password", "guess-me-please\n")
    files.write_private(settings.secrets_dir / "postgres_password", "guess-me-please!\n")
    [red] = [each for each in preflight.checks(settings) if each.name == "Secret" and not each.ok]
    assert red.finding.endswith("trino_password has fewer than 16 characters and could be guessed")
    assert "guess-me" not in red.finding + red.remedy


@pytest.mark.parametrize(("mode", "content", "word"), [(0o644, "secret", "chmod"), (0o600, "", "")])
def test_a_readable_or_empty_secret_file_is_red(
    isolated: SettingsOf, mode: int, content: str, word: str
) -> None:
    settings = isolated()
    settings.secrets_dir.mkdir(parents=True)
    path = settings.secrets_dir / "postgres_password"
    path.write_text(content)
    path.chmod(mode)
    red = [check for check in preflight.checks(settings, ()) if not check.ok]
    assert [str(path) in check.finding for check in red] == [True]
    assert word in red[0].remedy


def test_no_java_is_red_and_says_what_to_set(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java, "_candidates", list)
    check = the_check(isolated(), "Java", "kafka")
    assert not check.ok
    assert "JAVA_HOME" in check.remedy


def test_doctor_prints_json_and_exits_1_when_a_check_is_red(
    isolated: SettingsOf, listener: int
) -> None:
    settings = isolated(gateway_port=listener)
    answer = subprocess.run(
        [sys.executable, "-m", "payment_operations.cli", "doctor", "--json"],
        env=commands.environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    red = [check for check in json.loads(answer.stdout) if not check["ok"]]
    assert answer.returncode == 1
    assert [check["name"] for check in red] == [f"Port {listener}"]
    assert answer.stderr == ""


def test_up_prints_one_sentence_and_no_traceback(isolated: SettingsOf, listener: int) -> None:
    settings = isolated(gateway_port=listener)
    answer = subprocess.run(
        [sys.executable, "-m", "payment_operations.cli", "up"],
        env=commands.environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert f"Port {listener}" in answer.stderr
    assert process.members(settings) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "8.8.8.8"])
def test_a_host_that_the_network_can_reach_is_red(isolated: SettingsOf, host: str) -> None:
    check = the_check(isolated(host=host), "Host")
    assert not check.ok
    assert "can be reached from outside" in check.finding


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_every_loopback_address_is_green(isolated: SettingsOf, host: str) -> None:
    assert the_check(isolated(host=host), "Host").ok


def test_more_replicas_than_one_broker_can_hold_are_red(
    isolated: SettingsOf,
) -> None:
    check = the_check(isolated(kafka_replication_factor=3), "Replicas", "kafka")
    assert not check.ok
    assert "PAYMENTS_KAFKA_REPLICATION_FACTOR" in check.remedy
    elsewhere = isolated(kafka_replication_factor=3, kafka_bootstrap_servers="broker:9092")
    names = [each.name for each in preflight.checks(elsewhere, (components()["kafka"],))]
    assert "Replicas" not in names, "a cluster has more brokers"


def test_secrets_of_another_user_are_red(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = isolated()

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", path)

    files.make_folders(settings)
    generated_secrets.generate(settings)
    monkeypatch.setattr(Path, "read_text", refused)
    check = the_check(settings, "Secret")
    assert not check.ok
    assert "(Permission denied)" in check.finding
    with pytest.raises(UserError, match="can't be read: Permission denied"):
        settings.secret("postgres_password")
