"""Files that only the holder of a key can read, and only the holder of that key can have written.

A file is the mark, a salt, a check value of the key, and chunks of 64 KiB. AES-256-GCM encrypts and
signs each chunk, with a key that HKDF derives from the secret and the salt (RFC 5869). The nonce is
the chunk's number and whether it is the last one (the STREAM construction of Hoang, Reyhanitabar,
Rogaway and Vizár, 2015). So a changed byte, a lost, doubled or exchanged chunk and a cut end are
all noticed.
"""

import os
from collections.abc import Iterator
from hmac import compare_digest
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from payment_pipeline.domain.failures import UserError

# The package is in the extra `local`, and is imported where a file is sealed or opened.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MARK: Final = b"payments sealed file 1\n"
SALT_BYTES: Final = 16
CHECK_BYTES: Final = 16
CHUNK_BYTES: Final = 64 * 1024
TAG_BYTES: Final = 16
COUNTER_BYTES: Final = 11


def is_sealed(file: Path) -> bool:
    """Whether a file begins as a sealed one."""
    with file.open("rb") as opened:
        return opened.read(len(MARK)) == MARK


def seal(source: IO[bytes], target: IO[bytes], secret: str) -> None:
    """Encrypt and sign everything that the source has, into the target."""
    salt = os.urandom(SALT_BYTES)
    cipher, check = _keys(secret, salt)
    target.write(MARK + salt + check)
    for number, (chunk, last) in enumerate(_chunks(source, CHUNK_BYTES)):
        target.write(cipher.encrypt(_nonce(number, last=last), chunk, None))


def verify(file: Path, secret: str) -> None:
    """Check a whole file, and give nothing of it away.

    Raises:
        UserError: the file is not sealed, was sealed with another secret, or was changed.
    """
    for _ in contents(file, secret):
        pass


def contents(file: Path, secret: str) -> Iterator[bytes]:
    """The content of a sealed file, in parts. Each part is checked before it is given.

    Raises:
        UserError: the file is not sealed, was sealed with another secret, or was changed. The parts
            until then are right.
    """
    from cryptography.exceptions import InvalidTag

    with file.open("rb") as opened:
        if opened.read(len(MARK)) != MARK:
            raise UserError(f"The file {file} is no encrypted backup.")
        salt, check = opened.read(SALT_BYTES), opened.read(CHECK_BYTES)
        cipher, expected = _keys(secret, salt)
        if not compare_digest(check, expected):
            raise UserError(
                f"The file {file} was encrypted with another key, or its beginning was changed. "
                "Set PAYMENTS_BACKUP_KEY to the key of that time, or take another backup."
            )
        chunks = _chunks(opened, CHUNK_BYTES + TAG_BYTES)
        for number, (chunk, last) in enumerate(chunks):
            try:
                yield cipher.decrypt(_nonce(number, last=last), chunk, None)
            except InvalidTag:
                raise UserError(
                    f"The file {file} was changed or cut after it was written. Take another backup."
                ) from None


def _keys(secret: str, salt: bytes) -> "tuple[AESGCM, bytes]":
    """The cipher, and a value that tells whether the secret is the right one."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(SHA256(), 32 + CHECK_BYTES, salt, MARK).derive(secret.encode())
    return AESGCM(derived[:32]), derived[32:]


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(COUNTER_BYTES, "big") + bytes([last])


def _chunks(source: IO[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Parts of one size, and whether a part is the last. Only the last is shorter, or empty."""
    last = False
    while not last:
        chunk = source.read(size)
        last = len(chunk) < size
        yield chunk, last
