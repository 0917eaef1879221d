"""Superset: an environment and a server of its own, its dashboards and its readiness.

`python -m local_stack.components.superset` becomes the server, with secrets that only it may see.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from local_stack.component import DASHBOARDS, Component, Work, program
from local_stack.files import var
from local_stack.http import answers
from payment_pipeline.adapters.trino import CATALOG
from payment_pipeline.domain.failures import UserError
from payment_pipeline.resources import folder
from payment_pipeline.settings import HOME, Settings, load

ENVIRONMENT: Final = HOME / ".venv-superset"
FOLDER: Final = folder("infrastructure/superset")
ADMIN: Final = "admin"
"""As `provision.py` names the administrator."""
THREADS: Final = 8
QUERY_S_MAX: Final = 120
STOP_S_MAX: Final = 5
PROVISION_S_MAX: Final = 600
SHORT_TEXT: Final = re.compile(rb"\x8c.", re.DOTALL)
"""What pickle writes before a text: a mark and its length, which may look like a letter of it."""


def installed() -> bool:
    """Whether its environment was made, whole."""
    return (ENVIRONMENT / "made-from").exists()


def python() -> Path:
    """Superset's own Python.

    Raises:
        UserError: its environment was not made yet.
    """
    found = ENVIRONMENT / "bin/python"
    if not installed():
        raise UserError("No environment for Superset: run `make setup-superset`.")
    return found


def home(settings: Settings) -> Path:
    """Its metadata and its cache."""
    return var(settings) / "superset"


def cache(settings: Settings) -> Path:
    """Where it keeps answers and filters; no file of it is needed."""
    return home(settings) / "cache"


def cached(settings: Settings, patterns: Sequence[str]) -> int:
    """How many of its cached answers and filters hold one of the patterns."""
    wanted = re.compile("|".join(f"(?:{pattern})" for pattern in patterns).encode())
    return sum(wanted.search(SHORT_TEXT.sub(b"\0", each)) is not None for each in _cached(settings))


def forget_cached(settings: Settings) -> None:
    """Delete its whole cache, which it may be using: it asks again."""
    for path in cache(settings).glob("*"):
        path.unlink(missing_ok=True)


def _cached(settings: Settings) -> Iterator[bytes]:
    for path in cache(settings).glob("*"):
        try:
            yield path.read_bytes()
        except FileNotFoundError:  # it has just replaced it
            continue


def address(settings: Settings) -> str:
    """Where one logs in."""
    return f"http://{settings.host}:{settings.superset_port}"


def command(_settings: Settings) -> list[str]:
    """This module, which becomes the server."""
    return [sys.executable, "-m", "local_stack.components.superset"]


def prepare(settings: Settings, work: Work) -> None:
    """Bring its metadata up to date: schema, roles, the administrator, our dashboards.

    Raises:
        UserError: it failed; the sentence holds its last lines.
    """
    home(settings).mkdir(mode=0o700, exist_ok=True)
    work(1, 0)
    done = subprocess.run(  # noqa: S603 - our own script
        [python(), FOLDER / "provision.py"],
        env=environment(settings),
        cwd=home(settings),
        capture_output=True,
        text=True,
        timeout=PROVISION_S_MAX,
        check=False,
    )
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise UserError(f"Superset can't be provisioned: {said}", exit_code=1)
    work(0, 1)


def environment(settings: Settings) -> dict[str, str]:
    """What `superset_config.py` and `provision.py` read; it holds secrets."""
    return {
        **os.environ,
        "SUPERSET_CONFIG_PATH": str(FOLDER / "superset_config.py"),
        "SUPERSET_HOME": str(home(settings)),
        "SUPERSET_SECRET_KEY": settings.secret("superset_secret_key"),
        "SUPERSET_ADMIN_PASSWORD": settings.secret("superset_admin_password"),
        "SUPERSET_TRINO_URI": trino_uri(settings),
    }


def trino_uri(settings: Settings) -> str:
    """SQLAlchemy's address of the marts, for the user that may only read."""
    where = urlsplit(settings.trino)
    given = settings.trino_password
    password = f":{quote(given.get_secret_value(), safe='')}" if given else ""
    secure = "?protocol=https" if where.scheme == "https" else ""
    return f"trino://{settings.trino_reader}{password}@{where.netloc}/{CATALOG}{secure}"


async def ready(settings: Settings) -> bool:
    """Whether it serves its page to log in, which asks its metadata."""
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
            # It would be in the user's home folder, one for all stacks.
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
    command=command,
    ready=ready,
    address=address,
    ports=("superset_port",),
    needs=("trino",),
    group=DASHBOARDS,
    prepare=prepare,
    secrets=("superset_secret_key", "superset_admin_password", "trino_password"),
    generated_secrets=("superset_secret_key", "superset_admin_password"),
    memory_mib=lambda _settings: 1024,
    disk_mib=1024,
    checks=lambda _settings: (program("Superset", lambda: f"{python()}"),),
    ready_wait_s=180,
)


if __name__ == "__main__":
    main()
