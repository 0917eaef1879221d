"""Compares a secret that a caller shows with the secrets that are accepted."""

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest


class KnownSecrets:
    """The accepted secrets. `secret in known` takes the same time for each wrong secret.

    Digests are compared, because `compare_digest` returns early for texts of different lengths.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._digests = [_digest(secret) for secret in secrets]

    def __contains__(self, shown: str) -> bool:
        """Whether the secret is one of these. Every one is compared, also after a match."""
        digest = _digest(shown)
        matches = [compare_digest(digest, known) for known in self._digests]
        return any(matches)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
