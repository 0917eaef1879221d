"""Whom does PostgreSQL run as, on a machine where nobody has prepared that user?"""

import os
import pwd
import subprocess

import pytest

from local_stack.components import postgres
from payment_pipeline.domain.failures import UserError

Commands = list[list[str]]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A machine where we are root and know of nobody; the commands that were run on it."""
    ran: Commands = []

    def run(command: list[str], **_: object) -> None:
        ran.append(command)

    def nobody(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", nobody)
    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_the_user_is_there_when_its_name_is_asked_for(fresh: Commands) -> None:
    """The supervisor asks first, for its configuration, and refuses one that nobody has."""
    assert postgres.runs_as() == postgres.ROOT_RUNS_AS
    assert fresh == [["useradd", "--system", postgres.ROOT_RUNS_AS]]


def test_who_is_not_root_needs_no_other_user(
    fresh: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres.runs_as() is None
    assert fresh == []


@pytest.mark.usefixtures("fresh")
def test_a_machine_that_makes_no_users_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("useradd")

    monkeypatch.setattr(subprocess, "run", missing)
    with pytest.raises(UserError, match="run this as another user than root"):
        postgres.runs_as()
