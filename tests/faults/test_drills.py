"""Does each drill pass at a small size, and does its control fail?"""

from collections.abc import Iterator

import pytest
from rich.console import Console

from drills import registry, run
from drills.catalogue import canaries
from payment_pipeline.settings import Settings
from support import isolated

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(900)]

SEED = 1
ROUNDS = {"canaries": canaries.WHOLE_ROUNDS}
"""With Dagster, the marts and what the dashboards show; the others at their smallest."""
APART = {"disk-full"}
"""It brings up a second stack: `make chaos` has the time for it."""


@pytest.fixture(scope="module")
def victim() -> Iterator[Settings]:
    """One stack for all drills: what shares one with other tests must not kill its processes."""
    with isolated.temporary(Settings().var / "models") as settings:
        yield settings


@pytest.mark.parametrize("name", sorted(set(registry.names()) - APART))
def test_drill(name: str, victim: Settings) -> None:
    (drill,) = registry.drills((name,)).values()
    held = run.run_drill(victim, name, drill, SEED, ROUNDS.get(name, 1), Console())
    # Its limits of time are `make chaos`'s to judge, on a machine that does nothing else.
    assert held.skipped or held.findings.right, held.as_json()
