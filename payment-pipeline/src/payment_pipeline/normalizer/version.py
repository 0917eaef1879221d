"""Which normalization is this? The release, and a hash of all the code that decides about an event.

`1.0.0+3f9a0c2b71de` on a row says what made it. A constant would have to be raised by hand, and be
forgotten; the hash can't be: a provider may import the domain and no other part of the pipeline (an
import contract), so what an event becomes follows from these files and the pseudonym key alone.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

PARTS: Final = ("domain", "providers", "normalizer/step.py")
"""Of the package: folders and files whose code an event's normalization follows from."""
DIGEST_CHARACTERS: Final = 12


@cache
def normalizer_version() -> str:
    """`<release>+<hash>`, the same for the same code wherever it runs."""
    digest = sha256()
    for path, content in sources():
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return f"{version('payment-pipeline')}+{digest.hexdigest()[:DIGEST_CHARACTERS]}"


def sources() -> list[tuple[str, bytes]]:
    """Path within the package and bytes of every file that is hashed, sorted."""
    package = files("payment_pipeline")
    return sorted(found for part in PARTS for found in _files(package.joinpath(part), part))


def _files(place: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    if place.is_file():
        if not path.endswith(".pyc"):
            yield path, place.read_bytes()
        return
    for each in place.iterdir():
        if each.name != "__pycache__":
            yield from _files(each, f"{path}/{each.name}")
