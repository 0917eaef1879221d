"""The normalizer's version: the release, and a hash of all code that decides about an event.

Example: `1.0.0+3f9a0c2b71de`. Each row of bronze has the version that made it. A version number
that people raise by hand would be forgotten; the hash changes with the code. A provider may import
the domain and no other part of the pipeline (an import contract checks this). So the hashed files
and the pseudonym key alone decide what an event becomes.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

PARTS: Final = ("domain", "providers", "normalizer/step.py")
"""Folders and files of the package that decide how an event is normalized."""
DIGEST_CHARACTERS: Final = 12


@cache
def normalizer_version() -> str:
    """`<release>+<hash>`; the same code has the same version on every machine."""
    digest = sha256()
    for path, content in sources():
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return f"{version('payment-pipeline')}+{digest.hexdigest()[:DIGEST_CHARACTERS]}"


def sources() -> list[tuple[str, bytes]]:
    """Path within the package and content of every file that is hashed, sorted by path."""
    package = files("payment_pipeline")
    return sorted(found for part in PARTS for found in _files(package.joinpath(part), part))


def _files(root: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    if root.is_file():
        if not path.endswith(".pyc"):
            yield path, root.read_bytes()
        return
    for entry in root.iterdir():
        if entry.name != "__pycache__":
            yield from _files(entry, f"{path}/{entry.name}")
