"""Where does a stack keep its files, and which of them are private?"""

import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from payment_pipeline.domain.failures import UserError
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings, signing_name

SOCKET_PATH_BYTES_MAX: Final = 90
"""Unix sockets' paths end at 104 bytes on macOS; supervisord appends its pid while it binds."""

PROVIDERS: Final = {signing_name(name): each for name, each in sorted(providers().items())}
"""Every provider found, by the name of its signing secrets."""
WEBHOOK_SECRETS: Final = tuple(PROVIDERS)
GENERATED_SECRETS: Final = (
    *WEBHOOK_SECRETS,
    "postgres_password",
    "postgres_worker_password",
    "postgres_lake_password",
    "postgres_reader_password",
    "postgres_dagster_password",
    "postgres_admin_password",
    "pseudonym_key",
    "s3_access_key",
    "s3_secret_key",
    "superset_secret_key",
    "superset_admin_password",
)


def var(settings: Settings) -> Path:
    """The stack's folder as an absolute path: what it is known by."""
    return settings.var.expanduser().resolve()


def run_dir(settings: Settings) -> Path:
    """Generated configuration and pid files."""
    return var(settings) / "run"


def log_path(settings: Settings, component: str) -> Path:
    """What a component wrote to its standard output and error."""
    return var(settings) / "log" / f"{component}.log"


def socket_path(settings: Settings) -> Path:
    """Supervisord's socket: in the run folder, or in a short private one when that path is long."""
    beside = run_dir(settings) / "supervisor.sock"
    if len(os.fsencode(beside)) <= SOCKET_PATH_BYTES_MAX:
        return beside
    digest = hashlib.sha256(os.fsencode(var(settings))).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"payments-{os.getuid()}-{digest}" / "supervisor.sock"


def make_folders(settings: Settings) -> None:
    """Create the folders that every component expects.

    Raises:
        UserError: a folder can't be written, or the short one belongs to somebody else.
    """
    try:
        for folder in (run_dir(settings), var(settings) / "log"):
            folder.mkdir(parents=True, exist_ok=True)
        for private in (settings.secrets_dir, socket_path(settings).parent):
            private.mkdir(mode=0o700, exist_ok=True)
        settings.secrets_dir.chmod(0o700)
    except OSError as failure:
        raise UserError(
            f"Can't write {failure.filename}: mend its permissions or set PAYMENTS_VAR."
        ) from failure
    if socket_path(settings).parent.stat().st_uid != os.getuid():
        raise UserError(f"{socket_path(settings).parent} belongs to another user: remove it.")


def make_secrets(settings: Settings) -> None:
    """Generate each secret that is neither given nor in a file, readable by us alone."""
    given = settings.given_secrets
    for name in GENERATED_SECRETS:
        path = settings.secrets_dir / name
        if name not in given and not path.exists():
            write_private(path, new_secret(name) + "\n")


def new_secret(name: str) -> str:
    """A random secret for a setting. A provider's signing secret has that provider's form."""
    random = secrets.token_urlsafe(32)
    provider = PROVIDERS.get(name)
    return provider.new_secret(random) if provider else random


def write_private(path: Path, text: str) -> None:
    """Write a file that holds a secret, readable by us alone from its first byte on.

    In one move: who reads meanwhile finds the old one or the new one, whole.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".")  # mode 600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(unfinished).replace(path)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file: who comes second waits. The kernel lets go of it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
