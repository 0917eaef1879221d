"""Fetches files from Maven: the jars and archives that a lock pins by their SHA-256.

A lock is in jgo's format: coordinates and hashes, and no host. A start reads only the lock, so it
resolves nothing. A file with other bytes is fetched a second time, and then refused.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from local_stack.downloads import Download, JarLock
from local_stack.files import exclusive, exists
from payment_pipeline.domain.failures import UserError

# The package is imported where files are fetched: a container has it not, and fetches none.
if TYPE_CHECKING:
    from jgo.env import LockedDependency as LockedJar
    from jgo.maven import Artifact, MavenContext

LOCKS: Final = Path(__file__).with_name("locks")
DOWNLOADS_AT_ONCE: Final = 8

OnBytes = Callable[[int, int], None]
"""Reports a download's progress: bytes newly expected, bytes newly fetched."""


def locked(lock: Path) -> "list[LockedJar]":
    """The entries of a lock, in its order."""
    from jgo.env import LockFile

    return list(LockFile.load(lock).dependencies)


def paths(lock: Path) -> list[Path]:
    """The path of every file of a lock, whether it is fetched already or not."""
    context = _context()
    return [_path(_artifact(context, entry)) for entry in locked(lock)]


def missing(lock: Path) -> int:
    """The number of files of a lock that are not fetched yet."""
    return sum(not exists(path) for path in paths(lock))


def download(size_mib: int) -> Download:
    """A download into Maven's folder, or into the folder that M2_REPO names."""
    return Download("Jars", _context().repo_cache, size_mib, "M2_REPO")


def fetch(lock: Path, on_bytes: OnBytes = lambda _expected, _fetched: None) -> list[Path]:
    """Fetch every missing file of a lock, verify all of them, and return their paths.

    Raises:
        UserError: a file can't be fetched or kept, or its second download has other bytes too.
    """
    context = _context(on_bytes)
    try:
        # jgo writes a jar in place, so a second stack that starts now could read half of it.
        with (
            exclusive(context.repo_cache / ".payments.lock"),
            ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
        ):
            return list(pool.map(lambda entry: _verified(context, entry), locked(lock)))
    except OSError as failure:
        raise UserError(
            f"Can't keep jars in {context.repo_cache} ({failure.strerror or failure}): correct its "
            "permissions, make room, or set M2_REPO to another folder.",
            exit_code=1,
        ) from failure


def write(lock: JarLock) -> None:
    """Resolve a lock's endpoint again, and write the lock."""
    import jgo
    from jgo.env import LockedDependency as LockedJar
    from jgo.env import LockFile

    LockFile(
        dependencies=[
            LockedJar(
                groupId=artifact.groupId,
                artifactId=artifact.artifactId,
                version=artifact.version,
                classifier=artifact.classifier or None,
                sha256=_sha256(artifact.resolve()),
            )
            for artifact in jgo.resolve(lock.endpoint)
        ],
        jgo_version=jgo.__version__,
    ).save(lock.path)


def _verified(context: "MavenContext", entry: "LockedJar") -> Path:
    artifact = _artifact(context, entry)
    for _ in range(2):
        try:
            jar = artifact.resolve()
        except (OSError, RuntimeError) as failure:
            # A failure of the disk has an errno. A failure of a request is an OSError without one.
            if isinstance(failure, OSError) and failure.errno is not None:
                raise
            raise UserError(
                f"Can't fetch {artifact}: is the network reachable? ({failure})", exit_code=1
            ) from failure
        if _sha256(jar) == entry.sha256:
            return jar
        # An interrupted download leaves half a jar behind.
        jar.unlink()
    raise UserError(f"{artifact} is not the file that is locked: refused.", exit_code=1)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _artifact(context: "MavenContext", entry: "LockedJar") -> "Artifact":
    component = context.project(entry.groupId, entry.artifactId).at_version(entry.version)
    return component.artifact(entry.classifier or "", entry.packaging)


def _path(artifact: "Artifact") -> Path:
    return artifact.context.repo_cache / artifact.component.path_prefix / artifact.filename


def _context(on_bytes: OnBytes = lambda _expected, _fetched: None) -> "MavenContext":
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext, PythonResolver

    @contextmanager
    def each_download(_filename: str, size: int) -> Iterator[Callable[[int], None]]:
        on_bytes(size, 0)
        yield lambda count: on_bytes(0, count)

    return MavenContext(
        resolver=PythonResolver(progress_callback=each_download),
        repo_cache=GlobalSettings.load().repo_cache,
    )
