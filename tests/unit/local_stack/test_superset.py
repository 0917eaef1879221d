"""Tests Superset's access to Trino, its cache, and that it runs no text as code."""

import pickle
import runpy
from collections.abc import Callable

import pytest

from local_stack.components import superset
from payment_pipeline.erasure.person import Person
from payment_pipeline.settings import Settings

SettingsOf = Callable[..., Settings]
LETTER_LONG = "cus_" + "9" * 61
"""65 bytes, which pickle writes as the letter A."""


def cache(settings: Settings, name: str, answer: object) -> None:
    """Write a file as cachelib does: the time at which it expires, and the answer."""
    folder = superset.cache(settings)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\0\0\0\0" + pickle.dumps(answer))


@pytest.mark.parametrize("customer", ["cus_jane", LETTER_LONG], ids=["short", "long"])
def test_cached_answers_with_the_person_are_found_and_deleted(
    isolated: SettingsOf, customer: str
) -> None:
    settings, person = isolated(), Person("stripe", customer)
    assert superset.cached(settings, person.patterns) == 0, "no Superset here"
    cache(settings, "row", {"df": [["cus_john"], [customer]]})
    cache(settings, "sql", {"query": f"SELECT 1 WHERE customer_id = '{customer}'"})
    cache(settings, "key", {"df": person.names[1:]})
    cache(settings, "longer", {"df": [customer + "2", "x_" + customer]})
    assert superset.cached(settings, person.patterns) == 3

    superset.forget_cached(settings)

    assert superset.cached(settings, person.patterns) == 0
    assert list(superset.cache(settings).iterdir()) == []
    superset.forget_cached(settings)


def test_no_filter_or_metric_is_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUPERSET_HOME", "SUPERSET_SECRET_KEY", "TZ"):
        monkeypatch.setenv(name, "UTC")
    config = runpy.run_path(str(superset.FOLDER / "superset_config.py"))
    assert config["FEATURE_FLAGS"]["ENABLE_TEMPLATE_PROCESSING"] is False
