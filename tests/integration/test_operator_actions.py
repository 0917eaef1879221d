"""The operators' actions in PostgreSQL: one chain, and each change of it is found."""

import getpass
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors

from payment_operations import operator_actions
from payment_operations.operator_actions import append, chain, recorded
from payment_pipeline.domain.action_chain import faults
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from support import commands
from support.databases import empty_schema

pytestmark = pytest.mark.stack

WRITERS = 6
SWAP = """
UPDATE operator_actions SET number = CASE number WHEN 2 THEN -3 ELSE -2 END WHERE number IN (2, 3);
UPDATE operator_actions SET number = -number WHERE number < 0
"""
OPEN = "ALTER TABLE operator_actions DISABLE TRIGGER operator_actions_append_only"


def call(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one command on the schema of the test, which only the DSN names."""
    environment = {**commands.environment(settings), "PAYMENTS_POSTGRES_DSN": settings.dsn}
    return subprocess.run(
        [commands.PAYMENTS, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=commands.CALL_S,
        check=False,
    )


def verify(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return call(settings, "actions", "verify", *words)


@pytest.fixture
def four(database_settings: Settings) -> Settings:
    """A chain of four actions."""
    for number in range(4):
        append(database_settings, "dlq reopen", "begun", {"letters": number}, by="ana")
    return database_settings


def test_a_command_leaves_its_begin_and_its_end(database_settings: Settings) -> None:
    done = call(database_settings, "dlq", "dismiss", "--id", "7", "--note", "x",
                         "--by", "Ana [/x]\x1b[2J")  # fmt: skip
    assert done.returncode == 0, done.stderr
    begun, ended = chain(database_settings)
    assert (begun.action, begun.stage, begun.detail) == ("dlq dismiss", "begun", {})
    assert (ended.stage, ended.begun_number) == ("ended", begun.number)
    assert ended.detail == {"letters": 0, "ids": []}
    assert {begun.claimed_by, ended.claimed_by} == {"Ana [/x]\x1b[2J"}
    assert {begun.os_uid, ended.os_uid} == {os.getuid()}
    listed = call(database_settings, "actions", "list")
    assert listed.returncode == 0, listed.stderr
    assert r"as Ana [/x]\x1b[2J" in listed.stdout
    answer = json.loads(call(database_settings, "actions", "list", "--json").stdout)
    assert [each["stage"] for each in answer] == ["begun", "ended"]


def test_a_command_that_fails_leaves_its_failure(database_settings: Settings) -> None:
    def fail() -> None:
        with recorded(database_settings, "forget") as act:
            act.detail["erasure"] = 3
            raise UserError("Temporal does not answer.")

    with pytest.raises(UserError, match="Temporal does not answer"):
        fail()
    _, failed = chain(database_settings)
    assert (failed.stage, failed.detail) == ("failed", {"erasure": 3, "error": "UserError"})


def test_writers_at_once_keep_one_chain(database_settings: Settings) -> None:
    def write(writer: int) -> list[int]:
        return [append(database_settings, "dlq reopen", "begun", by=f"{writer}") for _ in range(5)]

    with ThreadPoolExecutor(WRITERS) as threads:
        numbers = [each for found in threads.map(write, range(WRITERS)) for each in found]
    assert sorted(numbers) == list(range(1, 5 * WRITERS + 1))
    assert faults(chain(database_settings)) == []
    assert len({each.claimed_by for each in chain(database_settings)}) == WRITERS


def test_two_actions_can_not_follow_the_same_one(four: Settings) -> None:
    with psycopg.connect(four.dsn) as owner, pytest.raises(errors.UniqueViolation):
        owner.execute(
            "INSERT INTO operator_actions SELECT 5, acted_at, action, stage, begun_number,"
            " claimed_by, os_user, os_uid, sudo_user, host, detail, previous_hash, hash"
            " FROM operator_actions WHERE number = 4"
        )


def test_a_whole_chain_is_exit_code_0_and_prints_its_head(four: Settings) -> None:
    done = verify(four)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 actions is whole" in done.stdout
    last = chain(four)[-1]
    assert f"4:{last.hash}" in done.stdout
    answer = json.loads(verify(four, "--json", "--head", f"4:{last.hash}").stdout)
    assert answer == {"ok": True, "actions": 4, "head": f"4:{last.hash}", "faults": []}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE operator_actions SET claimed_by = 'bob' WHERE number = 2", "Action 2 was changed"),
        ("UPDATE operator_actions SET detail = '{}' WHERE number = 3", "Action 3 was changed"),
        ("DELETE FROM operator_actions WHERE number = 2", "Action 2 was deleted"),
        ("DELETE FROM operator_actions WHERE number = 1", "Action 1 was deleted"),
        (SWAP, "Action 2 was changed"),
    ],
)
def test_a_changed_deleted_or_reordered_row_is_exit_code_1(
    four: Settings, change: str, fault: str
) -> None:
    with psycopg.connect(four.dsn, autocommit=True) as owner:
        owner.execute(OPEN)
        owner.execute(change.encode())
    done = verify(four)
    assert done.returncode == 1, done.stdout + done.stderr
    assert fault in done.stdout
    assert "is broken" in done.stdout


def test_a_chain_that_was_cut_off_is_found_by_its_noted_head(four: Settings) -> None:
    noted = f"4:{chain(four)[-1].hash}"
    with psycopg.connect(four.dsn, autocommit=True) as owner:
        owner.execute(OPEN)
        owner.execute("DELETE FROM operator_actions WHERE number > 2")
    assert verify(four).returncode == 0
    done = verify(four, "--head", noted)
    assert done.returncode == 1
    assert "Actions 3 to 4 were deleted from the end." in done.stdout


def test_what_can_not_be_checked_is_exit_code_2(four: Settings, stores: Settings) -> None:
    assert verify(four, "--head", "nonsense").returncode == 2
    with empty_schema(stores) as older:
        done = verify(older)
    assert done.returncode == 2
    assert "older than this code" in done.stderr


def test_even_the_owner_does_not_change_a_row_by_mistake(four: Settings) -> None:
    for change in (
        "UPDATE operator_actions SET claimed_by = 'bob'",
        "DELETE FROM operator_actions",
    ):
        with psycopg.connect(four.dsn) as owner, pytest.raises(errors.InsufficientPrivilege):
            owner.execute(change.encode())


def test_the_role_extends_the_chain_with_its_own_password(stores: Settings) -> None:
    """On the shared stack, because the role's rights are in bronze's schema."""
    before = len(chain(stores))
    with recorded(stores, "dlq reopen", "test") as act:
        act.detail["letters"] = 0
    written = chain(stores)[before:]
    assert [each.stage for each in written] == ["begun", "ended"]
    assert written[0].os_user == getpass.getuser() or os.getuid() != 0
    with psycopg.connect(stores.dsn_as("actions")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("payments_actions",)
    assert operator_actions.operator().os_uid == os.getuid()
