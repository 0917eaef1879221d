"""Every command that changes data is recorded with the user of the machine."""

import inspect
import os
import pwd
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from payment_operations import operator_actions
from payment_operations.action_text import parsed, verify
from payment_operations.commands import groups
from payment_operations.operator_actions import append, operator, recorded
from payment_pipeline.domain.action_chain import Action, Head, sealed
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from support.hostile_texts import HOSTILE

SettingsOf = Callable[..., Settings]
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)

RECORDED = {
    *("review approve", "review decline", "dlq redrive", "dlq dismiss", "dlq reopen"),
    *("forget", "replay", "restore", "train", "secrets rotate", "secrets retire"),
    *("lake load", "lake reload", "lake rebuild", "lake reanchor", "books backfill", "books pull"),
}
UNRECORDED = {
    **dict.fromkeys(
        (
            *("actions list", "actions verify", "audit", "backup", "dlq list", "dlq show"),
            *("catalog diff", "doctor", "lake status", "logs", "policy simulate", "review list"),
            *("status", "trace"),
        ),
        "reads",
    ),
    **dict.fromkeys(
        ("up", "down", "run", "migrate", "demo"), "starts, stops or creates the stores"
    ),
    "secrets generate": "creates what is missing, and changes nothing that is there",
    **dict.fromkeys(
        (
            *("cluster check", "cluster deploy", "cluster destroy", "cluster exec", "cluster logs"),
            *("cluster port-forward", "cluster render", "cluster restart", "cluster setup"),
            "cluster status",
        ),
        "acts on Kubernetes, whose audit log says who asked",
    ),
    "catalog apply": "acts on Polaris as its administrator, and changes nothing a second time",
    **dict.fromkeys(("contracts", "metrics"), "writes documents of the repository"),
    "simulate": "sends webhooks, as a provider does",
    "provider-api": "answers as a provider does",
    "books status": "reads",
    "dbt": "is dbt, which derives the marts from the lake",
}
"""A command that is not recorded, and the reason."""


def commands() -> dict[str, str]:
    """Each command with its source."""
    found = {}
    for group in groups():
        prefix = f"{group.app.info.name} " if isinstance(group.app.info.name, str) else ""
        for command in group.app.registered_commands:
            assert command.callback is not None
            name = command.name or command.callback.__name__
            found[prefix + name] = inspect.getsource(command.callback)
    return found


def test_every_command_is_recorded_or_has_a_reason() -> None:
    found = commands()
    assert set(found) == RECORDED | set(UNRECORDED)
    for name, source in found.items():
        pattern = rf'(recorded|operator_actions\.append)\(\s*\w+, "{name}"'
        assert bool(re.search(pattern, source)) == (name in RECORDED), name


def test_the_user_is_the_one_of_the_process_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    monkeypatch.setenv("SUDO_USER", "ana")
    found = operator()
    assert found.os_uid == os.getuid()
    assert found.os_user == pwd.getpwuid(os.getuid()).pw_name
    assert found.sudo_user == "ana"
    monkeypatch.delenv("SUDO_USER")
    assert operator().sudo_user is None


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert operator().os_user == "uid 4000000000"


@pytest.mark.parametrize("text", HOSTILE)
def test_each_claimed_name_can_be_stored(text: str) -> None:
    kept = operator_actions._storable(text)
    assert kept
    assert "\0" not in kept
    assert kept.encode()


def test_a_command_that_can_not_be_recorded_does_nothing(isolated: SettingsOf) -> None:
    settings = isolated(postgres_actions_password="x")
    with pytest.raises(UserError, match="No PostgreSQL at"), recorded(settings, "dlq dismiss"):
        raise AssertionError("it acted")


def test_a_dry_run_is_not_recorded(isolated: SettingsOf) -> None:
    with recorded(isolated(), "dlq dismiss", really=False) as act:
        act.detail["letters"] = 1


def test_a_command_that_works_without_postgresql_says_that_it_is_not_recorded(
    isolated: SettingsOf, capsys: pytest.CaptureFixture[str]
) -> None:
    acted = False
    with recorded(isolated(postgres_actions_password="x"), "train", required=False):
        acted = True
    assert acted
    assert capsys.readouterr().err.startswith("This command is not recorded: No PostgreSQL at")


@pytest.mark.parametrize("end", ["done", "failure"])
def test_an_end_that_can_not_be_recorded_is_said(
    end: str,
    isolated: SettingsOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(_settings: Settings, _action: str, stage: str, *_: object, **__: object) -> int:
        if stage != "begun":
            raise UserError("No PostgreSQL.")
        return 1

    monkeypatch.setattr(operator_actions, "append", broken)

    def act(*, required: bool) -> None:
        with recorded(isolated(), "train", required=required):
            if end == "failure":
                raise UserError("The models' folder can't be written.", 1)

    expected = "models' folder" if end == "failure" else "No PostgreSQL"
    with pytest.raises(UserError, match=expected):
        act(required=True)
    if end == "failure":
        with pytest.raises(UserError, match=expected):
            act(required=False)
    else:
        act(required=False)
    assert "end of this command is not recorded: No PostgreSQL." in capsys.readouterr().err


def test_a_head_is_read_as_it_is_printed() -> None:
    text = f"17:{'ab' * 32}"
    assert str(parsed(f" {text}\n")) == text
    for wrong in ("", "17", "17:ab", f"-1:{'ab' * 32}", f"17:{'AB' * 32}", f"{text}x"):
        with pytest.raises(UserError, match="NUMBER:HASH") as refusal:
            parsed(wrong)
        assert refusal.value.exit_code == 2


def test_an_unreadable_head_and_a_missing_postgresql_are_exit_code_2(isolated: SettingsOf) -> None:
    with pytest.raises(UserError, match="No PostgreSQL at") as refusal:
        append(isolated(postgres_actions_password="x"), "dlq reopen", "begun")
    assert refusal.value.exit_code == 2


def test_the_exit_code_of_verify_is_1_for_a_broken_chain_alone(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (
        sealed(Action(0, NOON, "forget", "begun", None, None, "a", 1, None, "h", {}, "", ""), last)
        for last in (None, Head(1, "1" * 64))
    )
    for actions, code in (([], 0), ([first], 0), ([first, second], 1), ([second], 1)):
        monkeypatch.setattr(operator_actions, "chain", lambda _settings, found=actions: found)
        assert verify(isolated(), None, as_json=False) == code
    assert "Action 1 was deleted." in capsys.readouterr().out
    assert verify(isolated(), f"3:{'1' * 64}", as_json=True) == 1
