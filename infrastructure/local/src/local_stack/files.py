"""The files and folders of one stack, and how private files are written."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

CONFIGURATION: Final = Path(__file__).with_name("configuration")
"""The templates of the components' own configuration files."""
SOCKET_PATH_BYTES_MAX: Final = 90
"""Unix sockets' paths end at 104 bytes on macOS; supervisord appends its pid while it binds."""


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


def exists(path: Path) -> bool:
    """Tell whether a path is there. A path in a folder that may not be searched is not."""
    try:
        return path.exists()
    except PermissionError:
        return False


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
    """Hold a lock file; a second holder waits. The kernel frees it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield
