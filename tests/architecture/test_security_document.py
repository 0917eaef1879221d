"""Every test that the threat model names exists, so that no promise loses its proof."""

import re
from pathlib import Path

from local_stack import generated_secrets, kafka_users, signing_secrets
from payment_operations.rotation import HELD, rotatable_passwords
from payment_pipeline.secret_length import SEVERAL
from payment_pipeline.settings import Settings

TESTS = Path(__file__).resolve().parents[1]
DOCUMENT = TESTS.parent / "docs" / "security.md"
NAMED = re.compile(
    r"`((?:unit|integration|architecture|providers|faults|replay|e2e|cluster|compose)/[\w/.]*|…(?=::))"
    r"(?:::(\w+))?`"
)
"""A path below `tests/`, or `…` for the path before it, and the name of a test."""
TARGETS = set(re.findall(r"^([a-z-]+):", (TESTS.parent / "Makefile").read_text(), re.MULTILINE))


def rows(last_column: str) -> list[list[str]]:
    """Return the rows of every table with this name of the last column."""
    tables = re.findall(
        rf"^\|.* \| {last_column} \|\n\|[-|]+\|\n((?:\|.*\n)+)", DOCUMENT.read_text(), re.MULTILINE
    )
    return [row.strip("| ").split(" | ") for table in tables for row in table.splitlines()]


def named(text: str) -> list[tuple[Path, str]]:
    """Return the file and the name of each test that a text names."""
    found: list[tuple[Path, str]] = []
    for location, name in NAMED.findall(text):
        path = found[-1][0] if location == "…" else TESTS / location
        found.append((path, name))
    return found


def test_every_test_that_the_threat_model_names_exists() -> None:
    tests = named(DOCUMENT.read_text())
    assert len(tests) > 60
    for path, name in tests:
        assert path.exists(), path
        if name:
            assert f"def {name}(" in path.read_text(), f"{path} has no {name}"


def test_every_path_of_tests_in_the_threat_model_is_read() -> None:
    """A name in another form would not be checked."""
    text = DOCUMENT.read_text()
    assert set(re.findall(r"`(?:\w+/)*test_\w+\.py[^`]*`", text)) <= {
        match.group() for match in NAMED.finditer(text)
    }
    assert len(re.findall(r"::test_", text)) == len([name for _, name in named(text) if name])


def test_every_threat_names_a_test_or_a_make_target() -> None:
    threats = rows("test")
    assert len(threats) > 40
    for threat, *_, proof in threats:
        targets = set(re.findall(r"`make ([a-z-]+)`", proof))
        assert targets <= TARGETS, threat
        tests = [name for _, name in named(proof) if name]
        assert targets or tests, f"{threat}: no test by its name, and no make target"


def test_every_claim_about_personal_data_names_a_test() -> None:
    section = DOCUMENT.read_text().split("\n## Personal data\n")[1].split("\n## ")[0]
    claims = re.findall(r"^- .*(?:\n  .*)*", section, re.MULTILINE)
    assert len(claims) > 5
    for claim in claims:
        assert [name for _, name in named(claim) if name], f"no test: {claim}"


def test_the_document_describes_how_to_change_secrets_that_no_command_rotates() -> None:
    described = {
        name for secret, _ in rows("how it is changed") for name in re.findall(r"\w+", secret)
    }
    held = {name for each in HELD.values() for name in each.secrets}
    live = {*rotatable_passwords(Settings()), *kafka_users.SECRETS, *SEVERAL}
    rotated = {*signing_secrets.NAMES, *live, *held}
    given = {"api_key_stripe", "catalog_credential"}
    assert described == set(generated_secrets.names()) - rotated | given
