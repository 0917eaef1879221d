"""Tests the registry of components: its order, its ports, and the choice of components to start."""

import pkgutil
from collections.abc import Callable

import pytest

import local_stack.components
from local_stack.component import GROUPS, runs_elsewhere
from local_stack.components import called_by, chosen, components, inference
from payment_pipeline.domain.failures import UserError
from payment_pipeline.inference import model_store, training
from payment_pipeline.inference.models import models
from payment_pipeline.settings import Settings


def names(*only: str, groups: tuple[str, ...] = ()) -> list[str]:
    return [each.name for each in chosen(only, groups)]


def test_a_component_comes_after_the_ones_that_it_needs() -> None:
    seen: set[str] = set()
    for each in components().values():
        assert set(each.needs) <= seen
        seen.add(each.name)


def test_every_port_is_a_setting_of_one_component() -> None:
    owned = [port for each in components().values() for port in each.ports]
    assert len(set(owned)) == len(owned)
    assert set(owned) <= Settings.model_fields.keys()


def test_nothing_chosen_is_the_pipeline_alone() -> None:
    assert names() == [each.name for each in components().values() if each.group == "pipeline"]
    assert "trino" not in names()


def test_a_group_is_started_in_addition_to_the_pipeline() -> None:
    assert set(names(groups=("lakehouse",))) >= {*names(), "seaweedfs", "trino"}
    assert names(groups=GROUPS) == list(components())


def test_an_unknown_group_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"No group lakehose: there are pipeline, lakehouse"):
        names(groups=("lakehose",))


def test_a_choice_includes_all_that_it_needs() -> None:
    assert names("gateway") == ["kafka", "gateway"]
    assert names("worker") == ["postgres", "kafka", "temporal", "worker"]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"No component gatway: there are postgres, .*gateway"):
        names("gatway")


def test_addresses_hold_no_password(isolated: Callable[..., Settings]) -> None:
    settings = isolated(postgres_dsn="postgresql://user:hush@db.example:6432/payments")
    assert runs_elsewhere(settings, components()["postgres"])
    assert components()["postgres"].address(settings) == "db.example:6432/payments"


def test_training_is_due_until_every_model_has_a_current_version(
    isolated: Callable[..., Settings],
) -> None:
    settings = isolated()
    for name in models():
        assert not inference.trained(settings)
        home = training.models_dir(settings) / name
        home.mkdir(parents=True)
        (home / model_store._CURRENT).write_text("a version")
    assert inference.trained(settings)


def test_no_two_components_have_the_same_order() -> None:
    orders = [each.order for each in components().values()]
    assert len(set(orders)) == len(orders)


def test_every_other_component_stops_before_the_stores_and_the_engines() -> None:
    last = {"postgres", "kafka", "temporal", "seaweedfs", "trino"}
    stages = {"gateway", "normalizer", "dispatcher", "worker", "lake-metrics", "superset"}
    for name in {*stages, "dagster-code", "dagster-webserver", "dagster-daemon"}:
        assert called_by(name) & last
    for name in last:
        assert called_by(name) <= last
    assert called_by("dagster-code") == last


def test_each_module_of_the_folder_is_a_component_with_its_name() -> None:
    found = pkgutil.iter_modules(local_stack.components.__path__)
    assert {module.name.replace("_", "-") for module in found} == components().keys()


def test_every_heap_and_every_address_elsewhere_is_a_setting() -> None:
    for each in components().values():
        assert {each.heap, *each.elsewhere} - {""} <= Settings.model_fields.keys()


def test_each_secret_is_generated_for_one_component() -> None:
    generated = [name for each in components().values() for name in each.generated_secrets]
    assert len(set(generated)) == len(generated)
