"""Every test that the threat model names exists, so that no promise loses its proof."""

import re
from pathlib import Path

from local_stack import generated_secrets, signing_secrets
from payment_operations.rotation import HELD, rotatable_passwords
from payment_pipeline.settings import Settings

TESTS = Path(__file__).resolve().parents[1]
DOCUMENT = TESTS.parent / "docs" / "security.md"
NAMED = re.compile(
    r"`((?:unit|integration|architecture|providers|faults)/[\w/.]*)(?:::(\w+))?`"
    r"(?:, `…::(\w+)`)?"
)
TARGETS = set(re.findall(r"^([a-z-]+):", (TESTS.parent / "Makefile").read_text(), re.MULTILINE))


def rows(last_column: str) -> list[list[str]]:
    """Return the rows of every table with this name of the last column."""
    tables = re.findall(
        rf"^\|.* \| {last_column} \|\n\|[-|]+\|\n((?:\|.*\n)+)", DOCUMENT.read_text(), re.MULTILINE
    )
    return [row.strip("| ").split(" | ") for table in tables for row in table.splitlines()]


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = NAMED.findall(DOCUMENT.read_text())
    assert len(named) > 30
    for location, *names in named:
        path = TESTS / location
        assert path.exists(), location
        for name in filter(None, names):
            assert f"def {name}(" in path.read_text(), f"{location} has no {name}"


def test_every_threat_names_a_test_or_a_make_target() -> None:
    threats = rows("test")
    assert len(threats) > 40
    for threat, *_, proof in threats:
        targets = set(re.findall(r"`make ([a-z-]+)`", proof))
        assert targets <= TARGETS, threat
        assert targets or NAMED.search(proof), f"{threat}: no test and no make target"


def test_the_document_describes_how_to_change_secrets_that_no_command_rotates() -> None:
    described = {
        name for secret, _ in rows("how it is changed") for name in re.findall(r"\w+", secret)
    }
    held = {name for each in HELD.values() for name in each.secrets}
    rotated = {*signing_secrets.NAMES, *rotatable_passwords(Settings()), *held}
    given = {"catalog_credential"}
    assert described == set(generated_secrets.names()) - rotated | given
