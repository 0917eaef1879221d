"""Is it written down for each bronze table who may do what with it?"""

import re
from pathlib import Path

from payment_pipeline.adapters.sql import queries
from payment_pipeline.bronze.grants import ROLES

BRONZE = Path(__file__).resolve().parents[2] / "payment-pipeline/src/payment_pipeline/bronze"
CREATED = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)", re.MULTILINE)
RIGHTS = queries("payment_pipeline.bronze", "queries/grants.sql")


def test_each_table_is_named_in_the_rights() -> None:
    tables = {
        table
        for migration in (BRONZE / "migrations").glob("*.sql")
        for table in CREATED.findall(migration.read_text())
    }
    assert tables
    granted = set(re.findall(r"\w+", " ".join(RIGHTS[role] for role in ROLES)))
    assert tables <= granted, "say in bronze/queries/grants.sql who may do what with it"


def test_each_role_has_its_rights_and_none_may_delete_or_hand_on() -> None:
    assert set(ROLES) <= RIGHTS.keys()
    for role in ROLES:
        assert not re.search(r"DELETE|TRUNCATE|ALL|PUBLIC|GRANT OPTION", RIGHTS[role]), role
