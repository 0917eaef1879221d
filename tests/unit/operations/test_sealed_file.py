"""Sealed files: what is written is read again, and every change is noticed."""

import io
from pathlib import Path

import pytest

from payment_operations import sealed_file
from payment_operations.sealed_file import CHUNK_BYTES, TAG_BYTES
from payment_pipeline.domain.failures import UserError

KEY = "the key of these tests, long enough"
HEAD = len(sealed_file.MARK) + sealed_file.SALT_BYTES + sealed_file.CHECK_BYTES
CHUNK = CHUNK_BYTES + TAG_BYTES


def sealed(path: Path, content: bytes) -> Path:
    with path.open("wb") as target:
        sealed_file.seal(io.BytesIO(content), target, KEY)
    return path


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 300_000])
def test_the_content_is_read_again(tmp_path: Path, size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    file = sealed(tmp_path / "file", content)
    assert b"".join(sealed_file.contents(file, KEY)) == content
    assert size < 100 or content[:100] not in file.read_bytes()


def test_the_same_content_is_never_written_twice_alike(tmp_path: Path) -> None:
    first, second = (sealed(tmp_path / name, b"content").read_bytes() for name in "ab")
    assert first[HEAD:] != second[HEAD:]


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    file = sealed(tmp_path / "file", b"content")
    with pytest.raises(UserError, match="another key"):
        sealed_file.verify(file, KEY + "r")


def test_a_change_of_any_byte_is_noticed(tmp_path: Path) -> None:
    file = sealed(tmp_path / "file", b"content")
    right = file.read_bytes()
    for position in range(len(right)):
        wrong = bytearray(right)
        wrong[position] ^= 0x80
        file.write_bytes(wrong)
        with pytest.raises(UserError):
            sealed_file.verify(file, KEY)


@pytest.mark.parametrize(
    "change",
    [
        lambda right: right[:-1],
        lambda right: right[: HEAD + CHUNK],
        lambda right: right[: HEAD + 2 * CHUNK],
        lambda right: right[:HEAD],
        lambda right: right[:5],
        lambda _: b"",
        lambda right: right + b"x",
        lambda right: right[:HEAD] + right[HEAD + CHUNK :],
        lambda right: right[: HEAD + CHUNK] + right[HEAD:],
        lambda right: (
            right[:HEAD]
            + right[HEAD + CHUNK : HEAD + 2 * CHUNK]
            + right[HEAD : HEAD + CHUNK]
            + right[HEAD + 2 * CHUNK :]
        ),
    ],
    ids=[
        *("a byte less", "the first chunk alone", "without the last chunk", "the head alone"),
        *("half a head", "nothing", "a byte more", "without the first chunk", "a chunk twice"),
        "two chunks exchanged",
    ],
)
def test_chunks_that_are_lost_added_or_exchanged_are_noticed(
    tmp_path: Path, change: object
) -> None:
    file = sealed(tmp_path / "file", bytes(2 * CHUNK_BYTES + 10))
    assert callable(change)
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(UserError):
        sealed_file.verify(file, KEY)
