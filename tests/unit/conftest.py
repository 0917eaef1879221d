"""Fixtures of the unit tests."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import free_ports
from payment_pipeline import settings
from payment_pipeline.settings import Settings


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of the shared stack, which earlier tests of the run may have set."""
    for name in [name for name in os.environ if name.startswith("PAYMENTS_")]:
        monkeypatch.delenv(name)
    settings.load.cache_clear()


@pytest.fixture
def isolated(tmp_path: Path) -> Callable[..., Settings]:
    """A function that makes settings with free ports and a temporary folder."""

    def make(**values: object) -> Settings:
        names = [name for name in Settings.model_fields if name.endswith("_port")]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        return Settings.model_validate({"var": tmp_path, **ports, **values})

    return make
