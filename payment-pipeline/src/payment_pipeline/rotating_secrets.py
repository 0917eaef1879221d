"""The secrets of a setting that may hold several, as its file has them now."""

from contextlib import suppress
from pathlib import Path

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings


def file_stamp(path: Path) -> tuple[int, int, int] | None:
    """A value that changes with the file; None if there is no readable file."""
    try:
        found = path.stat()
    except OSError:
        return None
    # A file that was replaced within one clock tick has another inode or size.
    return found.st_mtime_ns, found.st_ino, found.st_size


class RotatingSecrets:
    """The secrets of one setting. A rotation needs no restart: each use sees the present file.

    The environment takes precedence over the file, as for each secret, and never changes. If the
    file becomes unreadable or empty, the last good secrets stay in use.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        """Read the secrets.

        Raises:
            MissingSecretError: there is none.
        """
        self._settings = settings
        self._name = name
        self._path = settings.secrets_dir / name
        self._stamp = file_stamp(self._path)
        self._secrets = settings.secrets_of(name)

    def __call__(self) -> tuple[str, ...]:
        """Return the secrets, newest first; at least one."""
        if (stamp := file_stamp(self._path)) != self._stamp:
            self._stamp = stamp
            with suppress(UserError, UnicodeDecodeError):
                self._secrets = self._settings.secrets_of(self._name)
        return self._secrets
