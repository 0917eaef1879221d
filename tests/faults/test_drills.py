"""Each drill passes at a small size, and its control fails."""

from collections.abc import Iterator

import pytest
from rich.console import Console

from conftest import trained_models
from drills import registry, run
from drills.catalogue import canaries
from payment_pipeline.settings import Settings
from support import isolated

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(900)]

SEED = 1
ROUNDS = {"canaries": canaries.WHOLE_ROUNDS}
"""Rounds per drill, if more than one. Canaries need two to cover the marts and the dashboards."""
NOT_RUN = {"disk-full"}
"""This drill starts a second stack, which takes too long here. `make chaos` runs it."""


@pytest.fixture(scope="module")
def drill_stack() -> Iterator[Settings]:
    """One stack for all drills. Other tests do not share it, because drills kill its processes."""
    with isolated.temporary(trained_models()) as settings:
        yield settings


def in_order() -> list[str]:
    """The canaries first: their drill models and searches every row that another drill left."""
    return sorted(set(registry.names()) - NOT_RUN, key=lambda name: (name != "canaries", name))


@pytest.mark.parametrize("name", in_order())
def test_drill(name: str, drill_stack: Settings) -> None:
    (drill,) = registry.drills((name,)).values()
    result = run.run_drill(drill_stack, name, drill, SEED, ROUNDS.get(name, 1), Console())
    # Only `make chaos` requires the time limits, on a machine without other work.
    assert result.skipped or result.findings.right, result.as_json()
