"""Tests the order in which components stop."""

from collections.abc import Callable

import pytest

from local_stack import stack, supervisor
from local_stack.components import components
from payment_pipeline.settings import Settings

SettingsOf = Callable[..., Settings]


class Programs:
    """A supervisord whose programs end one look after they were asked to stop."""

    def __init__(self, names: set[str]) -> None:
        self.states = dict.fromkeys(names, "RUNNING")
        self.stopped: list[set[str]] = []
        """The programs that were asked to stop between two looks."""

    def look(self, _settings: Settings) -> dict[str, dict[str, object]]:
        for name, state in self.states.items():
            self.states[name] = "STOPPED" if state == "STOPPING" else state
        self.stopped.append(set())
        return {
            name: {"statename": state, "pid": 0 if state in ("STOPPED", "BACKOFF") else 1}
            for name, state in self.states.items()
        }

    def call(self, _settings: Settings, method: str, name: str, wait: bool) -> None:
        assert (method, wait) == ("stopProcess", False)
        self.states[name] = "STOPPING"
        self.stopped[-1].add(name)

    def waves(self) -> list[set[str]]:
        return [wave for wave in self.stopped if wave]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Callable[[set[str]], Programs]:
    def running(names: set[str]) -> Programs:
        made = Programs(names)
        monkeypatch.setattr(supervisor, "states", made.look)
        monkeypatch.setattr(supervisor, "call", made.call)
        monkeypatch.setattr(stack, "POLL_S", 0)
        return made

    return running


def test_stages_stop_at_once_and_the_stores_after_them(
    isolated: SettingsOf, programs: Callable[[set[str]], Programs]
) -> None:
    pipeline = {each.name for each in components().values() if each.group == "pipeline"}
    supervised = programs(pipeline)
    stack.stop(isolated(), pipeline)
    stores = {"postgres", "kafka", "temporal"}
    assert supervised.waves() == [pipeline - stores, stores]


def test_the_lake_stops_after_the_runs_that_use_it(
    isolated: SettingsOf, programs: Callable[[set[str]], Programs]
) -> None:
    supervised = programs(set(components()))
    stack.stop(isolated(), components().keys())
    waves = supervised.waves()
    when = {name: number for number, wave in enumerate(waves) for name in wave}
    assert when.keys() == components().keys()
    code = when["dagster-code"]
    assert when["dagster-daemon"] < when["dagster-webserver"] < code
    assert all(when[name] > code for name in ("postgres", "kafka", "temporal", "trino"))
    assert when["seaweedfs"] > when["trino"]


def test_a_component_waits_only_for_callers_that_stop_too(
    isolated: SettingsOf, programs: Callable[[set[str]], Programs]
) -> None:
    supervised = programs({"gateway", "kafka"})
    stack.stop(isolated(), {"kafka"})
    assert supervised.waves() == [{"kafka"}]


def test_a_program_that_is_about_to_be_restarted_is_stopped(
    isolated: SettingsOf, programs: Callable[[set[str]], Programs]
) -> None:
    supervised = programs({"gateway"})
    supervised.states["gateway"] = "BACKOFF"
    stack.stop(isolated(), {"gateway"})
    assert supervised.waves() == [{"gateway"}]
