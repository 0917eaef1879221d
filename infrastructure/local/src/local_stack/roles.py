"""Who may log in to the PostgreSQL that runs here: which roles and databases, whose passwords?

The superuser makes them, at each `up` and `payments migrate`; no service has its password.
"""

from typing import Final, LiteralString, get_args

import psycopg
from psycopg import sql

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Service, Settings

ADMIN: Final = "postgres"
"""The cluster's superuser."""
DAGSTER: Final = "dagster"
"""Dagster's own role, and its database's name."""
CONNECT_TIMEOUT_S: Final = 10
"""A server whose machine is full of other work may take some seconds to let somebody in."""
LOCK_KEY: Final = 0x726F6C6573
"""The advisory lock's number: the ASCII of "roles"."""
READ_ONLY: Final = ("payments_lake", "payments_reader")
"""A mistake of theirs is refused before their rights are asked."""
# One role's writer holds the horizon up for another's reader, who has to see since when.
SEES_ALL_STATISTICS: Final = ("payments_lake", "payments_reader")

Admin = psycopg.AsyncConnection[tuple[object, ...]]


def passwords(settings: Settings) -> dict[str, str]:
    """The name of each role's secret, by role."""
    return {
        settings.postgres_user: "postgres_password",
        **{f"payments_{service}": f"postgres_{service}_password" for service in get_args(Service)},
        DAGSTER: "postgres_dagster_password",
    }


async def ensure(settings: Settings) -> None:
    """Make the roles and the two databases that are missing, and set every password to its secret.

    So a rotation that was interrupted is made good by the next `up`.

    Raises:
        psycopg.OperationalError: the server doesn't answer yet, or takes no password of ours.
    """
    async with await _connect(settings, ADMIN) as admin:
        await admin.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])  # two callers would collide
        for role, secret in passwords(settings).items():
            await _ensure_role(admin, role, settings.secret(secret))
        for role in READ_ONLY:
            await _run(admin, "ALTER ROLE {} SET default_transaction_read_only = on", role)
        for role in (settings.postgres_user, *SEES_ALL_STATISTICS):
            await _run(admin, "GRANT pg_read_all_stats TO {}", role)
        await _ensure_database(admin, settings.postgres_database, settings.postgres_user)
        await _ensure_database(admin, DAGSTER, DAGSTER)
        await _run(admin, "REVOKE ALL ON DATABASE {} FROM PUBLIC", DAGSTER)
    await _hand_over(settings)


async def _connect(settings: Settings, database: str) -> Admin:
    """Log in as the superuser."""
    try:
        return await _log_in(settings, database, settings.secret("postgres_admin_password"))
    except psycopg.errors.ConnectionTimeout:
        raise
    except psycopg.OperationalError:
        # A cluster from before the roles: its superuser had the pipeline's password.
        admin = await _log_in(settings, database, settings.secret("postgres_password"))
        await _ensure_role(admin, ADMIN, settings.secret("postgres_admin_password"))
        return admin


async def _log_in(settings: Settings, database: str, password: str) -> Admin:
    return await psycopg.AsyncConnection.connect(
        host=settings.host,
        port=settings.postgres_port,
        user=ADMIN,
        password=password,
        dbname=database,
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT_S,
    )


async def _ensure_role(admin: Admin, role: str, password: str) -> None:
    found = await admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
    if await found.fetchone() is None:
        await _run(admin, "CREATE ROLE {} LOGIN", role)
    # Hashed here, so that no log of the server's can ever hold it.
    scram = admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    query = sql.SQL("ALTER ROLE {} PASSWORD {}")
    await admin.execute(query.format(sql.Identifier(role), sql.Literal(scram.decode())))


async def _ensure_database(admin: Admin, database: str, owner: str) -> None:
    found = await admin.execute(
        "SELECT datdba::regrole::text FROM pg_database WHERE datname = %s", [database]
    )
    if (row := await found.fetchone()) is None:
        await _run(admin, "CREATE DATABASE {} OWNER {}", database, owner)
    elif row != (owner,):
        await _run(admin, "ALTER DATABASE {} OWNER TO {}", database, owner)


async def _hand_over(settings: Settings) -> None:
    """Give Dagster the tables that an older stack's pipeline role made for it."""
    async with await _connect(settings, DAGSTER) as admin:
        found = await admin.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner <> %s",
            [DAGSTER],
        )
        for (table,) in await found.fetchall():
            await _run(admin, "ALTER TABLE {} OWNER TO {}", str(table), DAGSTER)


async def _run(admin: Admin, statement: LiteralString, *names: str) -> None:
    await admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def ensure_database_elsewhere(settings: Settings, name: str) -> None:
    """Make a database beside the pipeline's, on a server that somebody else runs.

    Raises:
        UserError: our role may not make one there.
    """
    try:
        with psycopg.connect(settings.dsn, autocommit=True) as own:
            found = own.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if found is None:
                own.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as refusal:
        raise UserError(
            f"Can't make the database {name} ({refusal}): make it yourself, or set "
            "PAYMENTS_DAGSTER_DSN to one.",
            exit_code=1,
        ) from refusal
