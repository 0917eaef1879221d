"""Migrations that the running version survives: a rolling upgrade applies them under it."""

import re
from importlib.resources import files

import pytest

FOLDER = files("payment_pipeline.bronze") / "migrations"
MIGRATIONS = sorted(path.name for path in FOLDER.iterdir())
TAKES_AWAY = re.compile(
    r"DROP\s+(TABLE|COLUMN|VIEW)|RENAME\s+(TO|COLUMN)|ALTER\s+COLUMN\s+\w+\s+(TYPE|SET\s+NOT)"
    r"|ADD\s+COLUMN\s+[^;,]*NOT\s+NULL(?![^;,]*DEFAULT)",
    re.IGNORECASE,
)
"""What a query of the version before could stumble over. `test_upgrades.py` runs that version."""


@pytest.mark.parametrize("migration", MIGRATIONS)
def test_a_migration_takes_nothing_away(migration: str) -> None:
    text = (FOLDER / migration).read_text()
    code = re.sub(r"--.*", "", text)
    assert not TAKES_AWAY.search(code)


def test_the_rule_finds_what_takes_away() -> None:
    for statement in (
        "ALTER TABLE payment_events DROP COLUMN amount",
        "ALTER TABLE payment_events RENAME COLUMN amount TO value",
        "ALTER TABLE payment_events ALTER COLUMN amount SET NOT NULL",
        "ALTER TABLE payment_events ADD COLUMN more text NOT NULL",
    ):
        assert TAKES_AWAY.search(statement), statement
    assert not TAKES_AWAY.search("ALTER TABLE t ADD COLUMN more text NOT NULL DEFAULT ''")
