"""Where do Kafka's jars and Trino's archives come from, and are they the ones that were locked?

A lock is jgo's own format: coordinates and sha256, no host. Starting reads the lock alone, so it
resolves nothing; a jar whose bytes differ is fetched once more and then refused.
`python -m local_stack.jars` writes the lock again (`make lock`).
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import jgo
from jgo.config import GlobalSettings
from jgo.env import LockedDependency as LockedJar
from jgo.env import LockFile
from jgo.maven import Artifact, MavenContext, PythonResolver

from local_stack.files import exclusive, exists
from payment_pipeline.domain.failures import UserError

# Kafka's own jars bring no logging backend: without one the broker dies without a word.
ENDPOINT: Final = "org.apache.kafka:kafka_2.13:4.3.0+org.slf4j:slf4j-simple:1.7.36"
LOCKS: Final = Path(__file__).with_name("locks")
LOCK: Final = LOCKS / "kafka.jars.toml"

DOWNLOADS_AT_ONCE: Final = 8

OnBytes = Callable[[int, int], None]
"""Told of a download's progress: bytes newly expected, bytes newly fetched."""


def locked(lock: Path = LOCK) -> list[LockedJar]:
    """What a lock pins, in its order."""
    return list(LockFile.load(lock).dependencies)


def repository() -> Path:
    """The folder that files are fetched into: Maven's own, or the one that M2_REPO names."""
    return _context().repo_cache


def class_path(lock: Path = LOCK) -> list[Path]:
    """Where every file that a lock pins is, or will be once it is fetched; Kafka's jars."""
    context = _context()
    return [_path(_artifact(context, entry)) for entry in locked(lock)]


def missing(lock: Path = LOCK) -> int:
    """Return how many files of a lock are not there yet."""
    return sum(not exists(path) for path in class_path(lock))


def fetch(on_bytes: OnBytes = lambda _expected, _fetched: None, lock: Path = LOCK) -> list[Path]:
    """Fetch every file of a lock that is missing, and verify each by its sha256; where they are.

    Raises:
        UserError: a jar can't be fetched or kept, or is not the locked one even when fetched anew.
    """
    context = _context(on_bytes)
    try:
        # Two stacks may start at once, and jgo writes a jar in place: one could read half of it.
        with (
            exclusive(context.repo_cache / ".payments.lock"),
            ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
        ):
            return list(pool.map(lambda entry: _verified(context, entry), locked(lock)))
    except OSError as failure:
        raise UserError(
            f"Can't keep jars in {context.repo_cache} ({failure.strerror or failure}): mend its "
            "permissions, make room, or set M2_REPO to another folder.",
            exit_code=1,
        ) from failure


def _verified(context: MavenContext, entry: LockedJar) -> Path:
    artifact = _artifact(context, entry)
    for _ in range(2):
        try:
            jar = artifact.resolve()
        except (OSError, RuntimeError) as failure:
            # Only the disk's failures have a number: those of a request are OSErrors without one.
            if isinstance(failure, OSError) and failure.errno is not None:
                raise
            raise UserError(
                f"Can't fetch {artifact}: is the network reachable? ({failure})", exit_code=1
            ) from failure
        if _sha256(jar) == entry.sha256:
            return jar
        # A download that was cut off leaves half a jar behind.
        jar.unlink()
    raise UserError(f"{artifact} is not the file that is locked: refused.", exit_code=1)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _artifact(context: MavenContext, entry: LockedJar) -> Artifact:
    component = context.project(entry.groupId, entry.artifactId).at_version(entry.version)
    return component.artifact(entry.classifier or "", entry.packaging)


def _path(artifact: Artifact) -> Path:
    return artifact.context.repo_cache / artifact.component.path_prefix / artifact.filename


def _context(on_bytes: OnBytes = lambda _expected, _fetched: None) -> MavenContext:
    @contextmanager
    def each_download(_filename: str, size: int) -> Iterator[Callable[[int], None]]:
        on_bytes(size, 0)
        yield lambda count: on_bytes(0, count)

    return MavenContext(
        resolver=PythonResolver(progress_callback=each_download),
        repo_cache=GlobalSettings.load().repo_cache,
    )


def write_lock() -> None:
    """Resolve Kafka and its logging backend anew, and write the lock."""
    LockFile(
        dependencies=[
            LockedJar(
                groupId=artifact.groupId,
                artifactId=artifact.artifactId,
                version=artifact.version,
                classifier=artifact.classifier or None,
                sha256=_sha256(artifact.resolve()),
            )
            for artifact in jgo.resolve(ENDPOINT)
        ],
        jgo_version=jgo.__version__,
    ).save(LOCK)


if __name__ == "__main__":
    write_lock()
