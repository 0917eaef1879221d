"""Superset: a server in a Python environment of its own.

`python -m local_stack.components.superset` becomes the server. Of all secrets, the server's
environment has only the key that signs sessions.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from local_stack.component import DASHBOARDS, Check, Component, Work, program
from local_stack.files import var, write_private
from local_stack.http import answers
from local_stack.python_service import command_of
from payment_pipeline.adapters.trino import CATALOG
from payment_pipeline.domain.failures import UserError
from payment_pipeline.resources import folder
from payment_pipeline.settings import HOME, Settings, load, variable

ENVIRONMENT: Final = HOME / ".venv-superset"
FOLDER: Final = folder("infrastructure/superset")
ADMIN: Final = "admin"
"""The administrator's name, as in `provision.py`."""
THREADS: Final = 8
QUERY_S_MAX: Final = 120
STOP_S_MAX: Final = 5
PROVISION_S_MAX: Final = 600
SHORT_TEXT: Final = re.compile(rb"\x8c.", re.DOTALL)
"""The two bytes that pickle writes before a text. The second is the length, and may be a letter."""


def installed() -> bool:
    """Whether its environment was made completely."""
    return (ENVIRONMENT / "made-from").exists()


def python() -> Path:
    """Superset's own Python. In its image, this process has that Python too.

    Raises:
        UserError: Superset's environment was not made yet.
    """
    if any(metadata.distributions(name="apache-superset")):
        return Path(sys.executable)
    found = ENVIRONMENT / "bin/python"
    if not installed():
        raise UserError("No environment for Superset: run `make setup-superset`.")
    return found


def home(settings: Settings) -> Path:
    """The folder of its metadata and its cache."""
    return var(settings) / "superset"


def cache(settings: Settings) -> Path:
    """The folder of its cached answers and filters. Superset needs none of these files."""
    return home(settings) / "cache"


def cached(settings: Settings, patterns: Sequence[str]) -> int:
    """The number of cached answers and filters that contain one of the patterns."""
    wanted = re.compile("|".join(f"(?:{pattern})" for pattern in patterns).encode())
    return sum(wanted.search(SHORT_TEXT.sub(b"\0", each)) is not None for each in _cached(settings))


def forget_cached(settings: Settings) -> None:
    """Delete the whole cache. A running Superset asks Trino again."""
    for path in cache(settings).glob("*"):
        path.unlink(missing_ok=True)


def _cached(settings: Settings) -> Iterator[bytes]:
    for path in cache(settings).glob("*"):
        try:
            yield path.read_bytes()
        except FileNotFoundError:  # Superset has just replaced the file
            continue


def address(settings: Settings) -> str:
    """The address of its login page."""
    return f"http://{settings.host}:{settings.superset_port}"


def authorities(settings: Settings) -> str | None:
    """Its own copy of the authorities that certify Trino. None: the well-known authorities.

    A container of Superset sees no file of Trino.
    """
    return str(home(settings) / "trino.authorities.pem") if settings.trino_certified_by else None


def prepare(settings: Settings, work: Work) -> None:
    """Update its metadata: the schema, the roles, the administrator and our dashboards.

    Raises:
        UserError: the authorities of Trino can't be read, or the update failed. The message has the
            last lines of its output.
    """
    home(settings).mkdir(mode=0o700, exist_ok=True)
    if settings.trino_certified_by and (copy := authorities(settings)):
        try:
            shutil.copyfile(settings.trino_certified_by, copy)
        except OSError as failure:
            raise UserError(
                f"Can't read the authorities of Trino, {failure.filename}: "
                "set PAYMENTS_TRINO_AUTHORITIES to their file."
            ) from failure
    where, password = urlsplit(settings.trino), settings.trino_password_of("reader") or ""
    write_private(home(settings) / "trino_login", f"{where.hostname}:{where.port}\n{password}")
    work(1, 0)
    done = subprocess.run(  # noqa: S603 - our own script
        [python(), FOLDER / "provision.py"],
        env={
            **environment(settings),
            "SUPERSET_TRINO_URI": trino_uri(settings),
            "SUPERSET_TRINO_OPTIONS": trino_options(settings),
        },
        input=settings.secret("superset_admin_password"),
        cwd=home(settings),
        capture_output=True,
        text=True,
        timeout=PROVISION_S_MAX,
        check=False,
    )
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise UserError("Superset can't be provisioned:", exit_code=1, output=said)
    work(0, 1)


def environment(settings: Settings) -> dict[str, str]:
    """The variables that `superset_config.py` reads. The only secret is the key of the sessions.

    The metadata holds Trino's address and the hash of the administrator's password. The password
    for Trino is in a private file.
    """
    secrets = {variable(name) for name in settings.given_secrets}
    return {
        **{name: value for name, value in os.environ.items() if name not in secrets},
        "SUPERSET_CONFIG_PATH": str(FOLDER / "superset_config.py"),
        "SUPERSET_HOME": str(home(settings)),
        "SUPERSET_SECRET_KEY": settings.secret("superset_secret_key"),
        # The HTTP library lets this variable override the authorities that Superset chooses.
        **({"REQUESTS_CA_BUNDLE": copy} if (copy := authorities(settings)) else {}),
    }


def trino_uri(settings: Settings) -> str:
    """SQLAlchemy's address of the marts, for the user with read rights only, without a password.

    Superset would store the password. `superset_config.py` reads it from a file instead.
    """
    return f"trino://{settings.trino_reader}@{urlsplit(settings.trino).netloc}/{CATALOG}"


def trino_options(settings: Settings) -> str:
    """The options of Trino's client, as JSON. Its address can't say them."""
    scheme = urlsplit(settings.trino).scheme
    return json.dumps({"http_scheme": scheme, "verify": authorities(settings) or True})


def checks(settings: Settings) -> Iterator[Check]:
    """Superset's environment, and a password for Trino that is not the loader's."""
    yield program("Superset", lambda: f"{python()}")
    given = settings.given_secrets
    owner, reader = given.get("trino_password"), given.get("trino_reader_password")
    if owner and owner == reader:
        finding = "Superset has the password of the user who may change the marts"
    elif settings.trino_url and owner and not reader:
        finding = "Trino runs elsewhere, and its user for Superset has no password"
    else:
        return
    remedy = f"give Trino's user {settings.trino_reader} its own password, and set "
    yield Check("Trino's reader", False, finding, f"{remedy}{variable('trino_reader_password')}")


async def ready(settings: Settings) -> bool:
    """Whether it serves its login page, which reads its metadata."""
    return await answers(f"{address(settings)}/login/")


def main() -> None:
    """Become the server."""
    settings = load()
    runtime = str(python())
    os.chdir(home(settings))
    os.execve(  # noqa: S606 - no shell is the point
        runtime,
        [
            runtime, "-m", "gunicorn",
            # The socket would be in the user's home folder, the same for all stacks.
            "--no-control-socket",
            "--bind", f"{settings.host}:{settings.superset_port}",
            "--workers", "1",
            "--worker-class", "gthread",
            "--threads", str(THREADS),
            "--timeout", str(QUERY_S_MAX),
            "--graceful-timeout", str(STOP_S_MAX),
            "superset.app:create_app()",
        ],
        environment(settings),
    )  # fmt: skip


COMPONENT: Final = Component(
    name="superset",
    order=140,
    command=command_of("local_stack.components.superset"),
    ready=ready,
    address=address,
    ports=("superset_port",),
    needs=("trino",),
    prepare=prepare,
    group=DASHBOARDS,
    secrets=("superset_secret_key",),
    generated_secrets=("superset_secret_key", "superset_admin_password"),
    memory_mib=1024,
    disk_mib=1024,
    checks=checks,
    links=lambda settings: {
        "Superset": f"{address(settings)}, as {ADMIN} with the password in "
        f"{settings.secrets_dir / 'superset_admin_password'}"
    },
    ready_wait_s=180,
)

if __name__ == "__main__":
    main()
