"""What does a unit test know of its surroundings? Nothing that another test has set."""

import os

import pytest

from payment_pipeline import settings


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the shared stack's settings, which a whole run's earlier tests put there."""
    for name in [name for name in os.environ if name.startswith("PAYMENTS_")]:
        monkeypatch.delenv(name)
    settings.load.cache_clear()
