"""What may each service do in bronze, and what may it not? The rights are in `queries/grants.sql`.

A role is made by whoever runs the server (`local_stack.roles` here, its administrator elsewhere);
bronze's owner gives it its rights, after each migration anew.
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
    if column.type != "bytea" and column.name != "patch"  # which may quote a body
)
_SQL: Final = queries("payment_pipeline.bronze", "queries/grants.sql")


def grant(owner: psycopg.Connection[tuple[str, ...]]) -> None:
    """Give each role that the server has exactly its rights, in one transaction.

    A service that runs meanwhile never sees itself without them.
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
