"""Mutations that make a signed webhook invalid, one random mutation at a time."""

import hashlib
import hmac
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple, TypeAlias

from payment_pipeline.simulator.signing import signature

ENTRIES: Final = 1_000
"""More `v1` entries than the header's limit has room for."""


class Forged(NamedTuple):
    """A forged webhook, ready to send."""

    header: str
    body: bytes


class Genuine(NamedTuple):
    """The genuine webhook that a mutation changes."""

    body: bytes
    secret: str
    at_s: int

    def signed(self, at_s: int | None = None, secret: str | None = None) -> str:
        """Return the header that Stripe would send, for another time or secret if given."""
        return signature(self.body, self.secret if secret is None else secret, at_s or self.at_s)

    @property
    def digest(self) -> str:
        """The correct signature in hex."""
        return self.signed().partition("v1=")[2]

    def with_digest(self, digest: str) -> str:
        """Return a header with the correct time and another signature."""
        return f"t={self.at_s},v1={digest}"


Mutation: TypeAlias = Callable[[Random, Genuine], Forged]


def mutated(rng: Random, body: bytes, secret: str, at_s: int) -> Forged:
    """Return a forged header and body that Stripe would never send."""
    genuine = Genuine(body, secret, at_s)
    return rng.choice(MUTATIONS)(rng, genuine)


def _digest(change: Callable[[Random, str], str]) -> Mutation:
    """Make a mutation that changes only the signature."""
    return lambda rng, it: Forged(it.with_digest(change(rng, it.digest)), it.body)


def _header(change: Callable[[Random, Genuine], str]) -> Mutation:
    """Make a mutation that replaces the header."""
    return lambda rng, it: Forged(change(rng, it), it.body)


def _body(change: Callable[[Random, bytes], bytes]) -> Mutation:
    """Make a mutation that changes only the body."""
    return lambda rng, it: Forged(it.signed(), change(rng, it.body))


def _other_digit(rng: Random, digest: str) -> str:
    at = rng.randrange(len(digest))
    return digest[:at] + rng.choice("0123456789abcdef".replace(digest[at], "")) + digest[at + 1 :]


def _other_byte(rng: Random, body: bytes) -> bytes:
    at = rng.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << rng.randrange(8))]) + body[at + 1 :]


def _hmac(it: Genuine, algorithm: str, message: bytes) -> str:
    return it.with_digest(hmac.digest(it.secret.encode(), message, algorithm).hex())


def _stamped(it: Genuine) -> bytes:
    return b"%d.%b" % (it.at_s, it.body)


MUTATIONS: Final[tuple[Mutation, ...]] = (
    _digest(_other_digit),
    _digest(_other_digit),
    _digest(lambda rng, digest: digest[: rng.randrange(len(digest))]),
    _digest(lambda rng, digest: digest + rng.choice("0af")),
    _digest(lambda _, digest: digest.upper()),
    _digest(lambda _, digest: digest[::-1]),
    _digest(lambda _, digest: digest[:-1] + "²"),
    _digest(lambda _, digest: f'"{digest}"'),
    _digest(lambda _, digest: f"0x{digest}"),
    _digest(lambda rng, _: rng.randbytes(32).hex()),
    _digest(lambda rng, _: "' OR '1'='1" * rng.randint(1, 3)),
    _header(lambda rng, it: f"t={it.at_s + rng.choice((-1, 1, 60))},v1={it.digest}"),
    _header(lambda rng, it: f"t={it.at_s},v{rng.choice('023')}={it.digest}"),
    _header(lambda rng, it: f"t={rng.choice('+0 -')}{it.at_s},v1={it.digest}"),
    _header(lambda _, it: f"t={it.at_s}.0,v1={it.digest}"),
    _header(lambda _, it: f"t={it.at_s},t={it.at_s},v1={it.digest}"),
    _header(lambda _, it: f"v1={it.digest}"),
    _header(lambda _, it: f"t={it.at_s}"),
    _header(lambda _, it: f"t={it.at_s};v1={it.digest}"),
    _header(lambda _, it: it.digest),
    _header(lambda rng, it: rng.randbytes(rng.randint(1, 200)).hex() + str(it.at_s)),
    _header(lambda rng, _: "".join(chr(rng.randint(0x80, 0xFF)) for _ in range(40))),
    _header(lambda _, it: f"t={it.at_s}" + ",v1=0" * ENTRIES),
    _header(lambda _, it: it.signed(secret=it.secret + "x")),
    _header(lambda _, it: it.signed(secret=it.secret.removeprefix("whsec_"))),
    _header(lambda _, it: it.signed(secret="")),
    _header(lambda rng, it: it.signed(at_s=it.at_s - rng.randint(310, 10**6))),
    _header(lambda rng, it: it.signed(at_s=it.at_s + rng.randint(310, 10**6))),
    _header(lambda _, it: _hmac(it, "sha1", _stamped(it))),
    _header(lambda _, it: _hmac(it, "sha512", _stamped(it))),
    _header(lambda _, it: _hmac(it, "sha256", it.body)),
    _header(lambda _, it: it.with_digest(hashlib.sha256(_stamped(it)).hexdigest())),
    _body(_other_byte),
    _body(lambda _, body: body + b" "),
    _body(lambda _, body: body[:-1]),
    _body(lambda _, body: b"\xef\xbb\xbf" + body),
    _body(lambda _, body: body.replace(b"evt_", b"evt_0", 1)),
    _body(lambda _, __: b"{}"),
)
"""Each mutation once. A changed digit, the most likely attack, is there twice."""
