"""Each drill passes at a small size, and its control fails."""

import pytest
from rich.console import Console

from drills import registry, run
from drills.catalogue import canaries
from payment_pipeline.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(900)]

SEED = 1
ROUNDS = {"canaries": canaries.WHOLE_ROUNDS}
"""Rounds per drill, if more than one. Canaries need two to cover the marts and the dashboards."""
NOT_RUN = {"disk-full", "cluster"}
"""These start a stack of their own, which takes too long here. `make chaos` runs them."""


def in_order() -> list[str]:
    """The canaries first: their drill models and searches every row that another drill left."""
    return sorted(set(registry.names()) - NOT_RUN, key=lambda name: (name != "canaries", name))


@pytest.mark.parametrize("name", in_order())
def test_drill(name: str, rough_stack: Settings) -> None:
    (drill,) = registry.drills((name,)).values()
    result = run.run_drill(rough_stack, name, drill, SEED, ROUNDS.get(name, 1), Console())
    # Only `make chaos` requires the time limits, on a machine without other work.
    assert result.skipped or result.findings.right, result.as_json()
