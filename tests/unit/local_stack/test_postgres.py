"""Tests the user that PostgreSQL runs as, on a machine that does not have this user yet."""

import os
import pwd
import subprocess

import pytest

from local_stack.components import postgres
from payment_pipeline.domain.failures import UserError

Commands = list[list[str]]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The commands that ran on a machine where we are root and no other user exists."""
    ran: Commands = []

    def run(command: list[str], **_: object) -> None:
        ran.append(command)

    def nobody(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", nobody)
    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_the_user_is_made_before_its_name_is_used(fresh: Commands) -> None:
    assert postgres.runs_as() == postgres.ROOT_RUNS_AS
    assert fresh == [["useradd", "--system", postgres.ROOT_RUNS_AS]]


def test_no_other_user_is_made_without_root(
    fresh: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres.runs_as() is None
    assert fresh == []


@pytest.mark.usefixtures("fresh")
def test_a_machine_without_useradd_gets_an_error_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("useradd")

    monkeypatch.setattr(subprocess, "run", missing)
    with pytest.raises(UserError, match="run this as another user than root"):
        postgres.runs_as()
