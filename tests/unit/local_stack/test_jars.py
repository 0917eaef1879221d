"""Tests that a jar with other bytes than the locked ones is refused."""

import errno
from hashlib import sha256
from pathlib import Path

import pytest
import requests
from jgo.env import LockedDependency, LockFile
from jgo.maven import Artifact, MavenContext, PythonResolver

from local_stack import jars
from payment_pipeline.domain.failures import UserError

GENUINE, OTHER = b"the locked bytes", b"other bytes"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock of one jar."""
    path = tmp_path / "jars.toml"
    jar = LockedDependency(
        groupId="org.example",
        artifactId="example",
        version="1.0",
        sha256=sha256(GENUINE).hexdigest(),
    )
    LockFile(dependencies=[jar], jgo_version="3").save(path)
    return path


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bytes that the repository sends, one item for each download."""
    sent: list[bytes] = []

    def download(_resolver: PythonResolver, artifact: Artifact) -> Path:
        path = artifact.cached_path
        assert path is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sent.pop(0))
        return path

    context = MavenContext(resolver=PythonResolver(), repo_cache=tmp_path / "kept")
    monkeypatch.setattr(PythonResolver, "download", download)
    monkeypatch.setattr(jars, "_context", lambda *_: context)
    return sent


def test_the_locked_jar_is_fetched_once(lock: Path, answers: list[bytes]) -> None:
    answers += [GENUINE]
    for _ in range(2):
        (jar,) = jars.fetch(lock)
        assert jar.read_bytes() == GENUINE


def test_a_jar_whose_bytes_differ_is_refused_and_not_kept(lock: Path, answers: list[bytes]) -> None:
    answers += [OTHER, OTHER]
    with pytest.raises(UserError, match=r"example.* is not the file that is locked: refused"):
        jars.fetch(lock)
    assert not jars.paths(lock)[0].exists()


def test_a_kept_jar_that_was_replaced_is_fetched_again(lock: Path, answers: list[bytes]) -> None:
    answers += [GENUINE, GENUINE]
    (jar,) = jars.fetch(lock)
    jar.write_bytes(OTHER)
    assert jars.fetch(lock) == [jar]
    assert jar.read_bytes() == GENUINE


def test_a_folder_that_can_not_be_written_gives_an_error_with_the_remedy(
    lock: Path, answers: list[bytes], tmp_path: Path
) -> None:
    answers += [GENUINE]
    (tmp_path / "kept").write_text("no folder")
    with pytest.raises(UserError, match=r"Can't keep jars in .*kept \(File exists\): .* M2_REPO"):
        jars.fetch(lock)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "make room"),
        (requests.ConnectionError("no route to repo"), "is the network reachable"),
    ],
)
@pytest.mark.usefixtures("answers")
def test_a_full_disk_and_a_dead_network_give_different_errors(
    lock: Path, monkeypatch: pytest.MonkeyPatch, failure: OSError, said: str
) -> None:
    def fail(_resolver: PythonResolver, _artifact: Artifact) -> Path:
        raise failure

    monkeypatch.setattr(PythonResolver, "download", fail)
    with pytest.raises(UserError, match=said):
        jars.fetch(lock)
