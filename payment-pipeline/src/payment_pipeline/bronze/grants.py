"""Grants each service's role its rights in bronze. `queries/grants.sql` lists the rights.

`local_stack.roles` creates the roles of the local server, and an administrator those of another
server. The owner of bronze grants the rights again after each migration.
"""

from typing import Final, get_args

import psycopg
from psycopg import sql

from payment_pipeline.adapters.sql import queries
from payment_pipeline.settings import Service

from . import contract

ROLES: Final = tuple(f"payments_{service}" for service in get_args(Service))

_QUARANTINE_BUT_BODY: Final = sql.SQL(", ").join(
    sql.Identifier(column.name)
    for column in contract.QUARANTINE
    if column.type != "bytea" and column.name != "patch"  # a patch may quote a body
)
_SQL: Final = queries("payment_pipeline.bronze", "queries/grants.sql")


def grant(owner: psycopg.Connection[tuple[str, ...]]) -> None:
    """Grants each existing role exactly its rights, in one transaction.

    A running service therefore never loses its rights.
    """
    with owner.transaction():
        found = owner.execute("SELECT current_database(), current_schema()").fetchone()
        database, schema = map(sql.Identifier, found or ())
        existing = owner.execute(_SQL["existing"], [[*ROLES]]).fetchall()
        owner.execute(sql.SQL(_SQL["close"]).format(database=database))
        for (role,) in existing:
            names = {
                "database": database,
                "schema": schema,
                "role": sql.Identifier(role),
                "quarantine_but_body": _QUARANTINE_BUT_BODY,
            }
            for query in (_SQL["take_back"], _SQL[role]):
                owner.execute(sql.SQL(query).format(**names))
