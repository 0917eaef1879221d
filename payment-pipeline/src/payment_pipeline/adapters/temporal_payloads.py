"""Encryption of what workflows carry: arguments, results, memos and errors.

Each payload is encrypted with AES-256-GCM, under the newest key, with a random nonce. The payload's
metadata names the key, so that a payload of an older key is still read. Search attributes and
workflow ids stay readable, because Temporal searches them.
"""

import os
from collections.abc import Callable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import PayloadCodec

from payment_pipeline.domain.failures import UserError
from payment_pipeline.rotating_secrets import RotatingSecrets
from payment_pipeline.settings import MissingSecretError, Settings, fingerprint

NAME: Final = "temporal_payload_keys"
ENCODING: Final = b"binary/encrypted"
KEY_ID: Final = "encryption-key-id"
PURPOSE: Final = b"payments temporal payload 1"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


class EncryptedPayloads(PayloadCodec):
    """Encrypts with the newest key, and decrypts with the key that a payload names.

    A payload that is not encrypted is read as it is: histories from before the first key go on.
    """

    def __init__(self, keys: Callable[[], Sequence[str]]) -> None:
        """Take a function that returns the present keys, newest first; at least one."""
        self._keys = keys
        self._known: Sequence[str] = ()
        self._ciphers: dict[str, AESGCM] = {}
        self._newest = ""
        self._refresh()

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload with its metadata."""
        return [self._sealed(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt each encrypted payload.

        Raises:
            UserError: the key of a payload is unknown, or the payload was changed.
        """
        return [self.opened(payload) for payload in payloads]

    def opened(self, payload: Payload) -> Payload:
        """Decrypt one payload, if it is encrypted.

        Raises:
            UserError: its key is unknown, or it was changed.
        """
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        self._refresh()
        key_id = payload.metadata.get(KEY_ID, b"").decode("ascii", "replace")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UserError(
                f"A workflow's payload was encrypted with the key {key_id}, and "
                "PAYMENTS_TEMPORAL_PAYLOAD_KEYS has no such key. Add the key at the end.",
                exit_code=1,
            )
        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, key_id.encode()))
        except (InvalidTag, ValueError):
            raise UserError(
                f"A workflow's payload of the key {key_id} was changed after it was written.",
                exit_code=1,
            ) from None

    def _refresh(self) -> None:
        if (keys := self._keys()) != self._known:
            self._ciphers = {fingerprint(key): AESGCM(_derived(key)) for key in keys}
            self._newest = fingerprint(keys[0])
            self._known = keys

    def _sealed(self, payload: Payload) -> Payload:
        self._refresh()
        nonce, key_id = os.urandom(NONCE_BYTES), self._newest.encode()
        sealed = self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), key_id)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: key_id}, data=nonce + sealed)


def codec(settings: Settings) -> EncryptedPayloads | None:
    """Return the codec of the settings' keys. None if payloads are not encrypted.

    A local stack that is not secure ignores the generated file, so that its UI stays readable.

    Raises:
        MissingSecretError: the setting has no key in it, or a secure stack has lost its keys.
    """
    given = NAME in settings.given_secrets
    if not (given or settings.secure or settings.temporal_address):
        return None
    try:
        return EncryptedPayloads(RotatingSecrets(settings, NAME))
    except MissingSecretError:
        if given or not settings.temporal_address:
            raise
        return None


def readable(client: Client, payload: Payload) -> Payload:
    """Return a payload of the raw API as the client's own methods would return it.

    Raises:
        UserError: its key is unknown, or it was changed.
    """
    found = client.data_converter.payload_codec
    return found.opened(payload) if isinstance(found, EncryptedPayloads) else payload


def _derived(key: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, PURPOSE).derive(key.encode())
