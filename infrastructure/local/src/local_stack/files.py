"""The folders and files of one stack, and how private ones are written."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import PRIVATE_UMASK, Settings

CONFIGURATION: Final = Path(__file__).with_name("configuration")
"""The templates of the components' configuration files."""
SOCKET_PATH_BYTES_MAX: Final = 90
"""macOS allows 104 bytes in a Unix socket's path. Supervisord appends its pid while it binds."""


def var(settings: Settings) -> Path:
    """The stack's folder as an absolute path. It identifies the stack."""
    return settings.var.expanduser().resolve()


def run_dir(settings: Settings) -> Path:
    """The folder of generated configuration and pid files."""
    return var(settings) / "run"


def log_path(settings: Settings, component: str) -> Path:
    """The file of a component's standard output and error."""
    return var(settings) / "log" / f"{component}.log"


def socket_path(settings: Settings) -> Path:
    """Supervisord's socket: in the run folder, or in a private temporary folder if that is long."""
    inside = run_dir(settings) / "supervisor.sock"
    if len(os.fsencode(inside)) <= SOCKET_PATH_BYTES_MAX:
        return inside
    digest = hashlib.sha256(os.fsencode(var(settings))).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"payments-{os.getuid()}-{digest}" / "supervisor.sock"


@contextmanager
def private() -> Iterator[None]:
    """Meanwhile, only their owner can open the files and folders that this process makes."""
    before = os.umask(PRIVATE_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def open_to_others(folder: Path) -> bool:
    """Whether other users may do anything with a folder that exists."""
    return exists(folder) and bool(folder.stat().st_mode & PRIVATE_UMASK)


def make_folders(settings: Settings) -> None:
    """Create the folders that every component expects. No other user can enter them.

    A stack's folder of an older version is closed too. A folder with other content stays as it is:
    it may be one that other users need, such as `/tmp`. `payments doctor` then says what to do.

    Raises:
        UserError: a folder can't be written, or the socket's folder belongs to another user.
    """
    folder = var(settings)
    try:
        with private():
            folder.mkdir(parents=True, exist_ok=True)
            if open_to_others(folder) and _is_a_stack_s(folder):
                folder.chmod(0o700)
            for inside in (run_dir(settings), folder / "log"):
                inside.mkdir(exist_ok=True)
        for closed in (settings.secrets_dir, socket_path(settings).parent):
            closed.mkdir(mode=0o700, exist_ok=True)
        settings.secrets_dir.chmod(0o700)
    except OSError as failure:
        raise UserError(
            f"Can't write {failure.filename}: correct its permissions or set PAYMENTS_VAR."
        ) from failure
    if socket_path(settings).parent.stat().st_uid != os.getuid():
        raise UserError(f"{socket_path(settings).parent} belongs to another user: remove it.")


def _is_a_stack_s(folder: Path) -> bool:
    return not any(folder.iterdir()) or all((folder / name).is_dir() for name in ("run", "secrets"))


def write_private(path: Path, text: str) -> None:
    """Write a file that holds a secret. Only its owner can read it, from its first byte on.

    The file is replaced in one step: a reader gets the whole old file or the whole new one.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".")  # mode 600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(unfinished).replace(path)


def exists(path: Path) -> bool:
    """Whether the path exists. False if another user's folder hides it."""
    try:
        return path.exists()
    except PermissionError:
        return False


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file. A second caller waits. The kernel frees the lock when its holder dies."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(path):
        yield
