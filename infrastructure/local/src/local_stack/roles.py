"""The roles, databases and passwords of the pipeline's PostgreSQL server.

The server runs here or at `PAYMENTS_POSTGRES_ADDRESS`. The superuser makes them at each
`payments up` and `payments migrate`. No service has the superuser's password.
"""

from typing import Final, LiteralString, get_args

import psycopg
from psycopg import sql

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Service, Settings

ADMIN: Final = "postgres"
"""The cluster's superuser."""
DAGSTER: Final = "dagster"
"""Dagster's role, and the name of its database."""
SERVICE_SECRETS: Final = {
    **{f"payments_{service}": f"postgres_{service}_password" for service in get_args(Service)},
    DAGSTER: "postgres_dagster_password",
}
"""The name of each service's password, by its role."""
SECRETS: Final = ("postgres_password", *SERVICE_SECRETS.values(), "postgres_admin_password")
"""The names of all passwords of the server."""
MAINTENANCE: Final = ("postgres", "template1")
"""The databases of a new cluster. By default every role may connect to them."""
CONNECT_TIMEOUT_S: Final = 10
"""On a busy machine the server may take some seconds to accept a login."""
LOCK_KEY: Final = 0x726F6C6573
"""The number of the advisory lock: the ASCII codes of "roles"."""
READ_ONLY: Final = ("payments_lake", "payments_reader")
"""The roles that only read. A write by mistake is refused before their rights are checked."""
# A writer of one role holds back the transaction horizon of another role's reader. The reader
# shows since when, from the statistics.
SEES_ALL_STATISTICS: Final = ("payments_lake", "payments_reader")

Admin = psycopg.AsyncConnection[tuple[object, ...]]


def passwords(settings: Settings) -> dict[str, str]:
    """The name of each role's password, by role."""
    return {settings.postgres_user: "postgres_password", **SERVICE_SECRETS}


async def ensure(settings: Settings) -> None:
    """Make the missing roles and databases, and set every password to its secret.

    So the next `up` completes an interrupted rotation.

    Raises:
        psycopg.OperationalError: the server doesn't answer yet, or refuses both passwords of the
            superuser.
    """
    async with await _connect(settings, ADMIN) as admin:
        # Two callers at once would collide.
        await admin.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        for role, secret in passwords(settings).items():
            await _ensure_role(admin, role, settings.secret(secret))
        for role in READ_ONLY:
            await _run(admin, "ALTER ROLE {} SET default_transaction_read_only = on", role)
        for role in (settings.postgres_user, *SEES_ALL_STATISTICS):
            await _run(admin, "GRANT pg_read_all_stats TO {}", role)
        await _ensure_database(admin, settings.postgres_database, settings.postgres_user)
        await _ensure_database(admin, DAGSTER, DAGSTER)
        for database in (DAGSTER, *MAINTENANCE):
            await _run(admin, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
    await _hand_over(settings)


def ensure_database_elsewhere(settings: Settings, name: str) -> None:
    """Make a database on a server that does not run here.

    Raises:
        UserError: the pipeline's role may not make a database there.
    """
    try:
        with psycopg.connect(settings.dsn, autocommit=True) as own:
            found = own.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if found is None:
                own.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as refusal:
        raise UserError(
            f"Can't make the database {name} ({refusal}): make it yourself, or set "
            "PAYMENTS_DAGSTER_DSN to another database.",
            exit_code=1,
        ) from refusal


async def _connect(settings: Settings, database: str) -> Admin:
    """Log in as the superuser."""
    try:
        return await _log_in(settings, database, settings.secret("postgres_admin_password"))
    except psycopg.errors.ConnectionTimeout:
        raise
    except psycopg.OperationalError:
        # In a cluster from before the roles the superuser has the pipeline's password.
        admin = await _log_in(settings, database, settings.secret("postgres_password"))
        await _ensure_role(admin, ADMIN, settings.secret("postgres_admin_password"))
        return admin


async def _log_in(settings: Settings, database: str, password: str) -> Admin:
    return await psycopg.AsyncConnection.connect(
        settings.dsn_with(ADMIN, password, database),
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT_S,
    )


async def _ensure_role(admin: Admin, role: str, password: str) -> None:
    found = await admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
    if await found.fetchone() is None:
        await _run(admin, "CREATE ROLE {} LOGIN", role)
    # The password is hashed here, so that no log of the server can show it.
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
    """Give Dagster its tables, where an older stack made them with the pipeline's role."""
    async with await _connect(settings, DAGSTER) as admin:
        found = await admin.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner <> %s",
            [DAGSTER],
        )
        for (table,) in await found.fetchall():
            await _run(admin, "ALTER TABLE {} OWNER TO {}", str(table), DAGSTER)


async def _run(admin: Admin, statement: LiteralString, *names: str) -> None:
    await admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
