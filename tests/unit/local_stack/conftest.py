"""Settings of a stack that nothing was started of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import free_ports
from payment_pipeline.settings import Settings


@pytest.fixture
def isolated(tmp_path: Path) -> Callable[..., Settings]:
    """Settings on free ports in a folder of the test's own; the test's values win."""

    def make(**values: object) -> Settings:
        names = [name for name in Settings.model_fields if name.endswith("_port")]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        return Settings.model_validate({"var": tmp_path, **ports, **values})

    return make
