"""Is the table of components whole, and does a choice bring what it needs?"""

from collections.abc import Callable

import pytest

from local_stack import components
from local_stack.components import ALL, BY_NAME, GROUPS, STORES, chosen, runs_elsewhere
from payment_pipeline.domain.failures import UserError
from payment_pipeline.inference import store, training
from payment_pipeline.inference.models import models
from payment_pipeline.settings import Settings


def names(*only: str, groups: tuple[str, ...] = ()) -> list[str]:
    return [component.name for component in chosen(only, groups)]


def test_each_need_stands_before_who_needs_it() -> None:
    seen: set[str] = set()
    for component in ALL:
        assert set(component.needs) <= seen
        seen.add(component.name)


def test_every_port_is_a_setting_of_one_component() -> None:
    owned = [port for component in ALL for port in component.ports]
    assert len(set(owned)) == len(owned)
    assert set(owned) <= Settings.model_fields.keys()


def test_nothing_chosen_is_the_pipeline_alone() -> None:
    assert names() == [each.name for each in ALL if each.group == "pipeline"]
    assert "trino" not in names()


def test_a_group_stands_beside_the_pipeline() -> None:
    assert set(names(groups=("lakehouse",))) >= {*names(), "seaweedfs", "trino"}
    assert names(groups=GROUPS) == list(BY_NAME)


def test_an_unknown_group_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"No group lakehose: there are pipeline, lakehouse"):
        names(groups=("lakehose",))


def test_a_choice_brings_what_it_needs() -> None:
    assert names("gateway") == ["kafka", "gateway"]
    assert names("worker") == [*STORES, "worker"]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"No component gatway: there are postgres, .*gateway"):
        names("gatway")


def test_addresses_hold_no_password(isolated: Callable[..., Settings]) -> None:
    settings = isolated(postgres_dsn="postgresql://user:hush@db.example:6432/payments")
    assert runs_elsewhere(settings, BY_NAME["postgres"])
    assert BY_NAME["postgres"].address(settings) == "db.example:6432/payments"


def test_training_is_due_until_every_model_has_a_current_version(
    isolated: Callable[..., Settings],
) -> None:
    settings = isolated()
    for name in models():
        assert not components._trained(settings)
        home = training.models_dir(settings) / name
        home.mkdir(parents=True)
        (home / store._CURRENT).write_text("a version")
    assert components._trained(settings)
