"""The grants of the database roles on every bronze table."""

import re
from pathlib import Path

from payment_pipeline.adapters.sql import queries
from payment_pipeline.bronze.grants import ROLES

BRONZE = Path(__file__).resolve().parents[2] / "payment-pipeline/src/payment_pipeline/bronze"
CREATED = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)", re.MULTILINE)
RIGHTS = queries("payment_pipeline.bronze", "queries/grants.sql")


def test_every_table_has_grants() -> None:
    tables = {
        table
        for migration in (BRONZE / "migrations").glob("*.sql")
        for table in CREATED.findall(migration.read_text())
    }
    assert tables
    granted = set(re.findall(r"\w+", " ".join(RIGHTS[role] for role in ROLES)))
    assert tables <= granted, "add the grants of the new table to bronze/queries/grants.sql"


def test_no_role_may_delete_rows_or_grant_rights() -> None:
    assert set(ROLES) <= RIGHTS.keys()
    for role in ROLES:
        assert not re.search(r"DELETE|TRUNCATE|ALL|PUBLIC|GRANT OPTION", RIGHTS[role]), role
