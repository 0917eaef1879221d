"""Is each test that the threat model names there, so that no promise outlives its proof?"""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
DOCUMENT = TESTS.parent / "docs" / "security.md"
NAMED = re.compile(
    r"`((?:unit|integration|architecture|providers)/[\w/.]*)(?:::(\w+))?`(?:, `…::(\w+)`)?"
)


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = NAMED.findall(DOCUMENT.read_text())
    assert len(named) > 30
    for place, *names in named:
        path = TESTS / place
        assert path.exists(), place
        for name in filter(None, names):
            assert f"def {name}(" in path.read_text(), f"{place} has no {name}"
