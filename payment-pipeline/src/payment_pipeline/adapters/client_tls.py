"""The TLS context of a client: which servers it trusts, and how it identifies itself."""

import ssl
from pathlib import Path

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, absolute, variable


def context(settings: Settings, client: str) -> ssl.SSLContext:
    """Return the context of a client whose settings have this prefix, such as `kafka`.

    The server's certificate and its name are always checked.

    Raises:
        UserError: a file of the settings can't be read, or has no certificate or no key.
    """
    authorities = read(settings, f"{client}_authorities")
    try:
        made = ssl.create_default_context(cadata=authorities.decode() if authorities else None)
    except (ssl.SSLError, ValueError):
        raise _useless(settings, f"{client}_authorities") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate: Path | None = getattr(settings, f"{client}_certificate", None)
    if certificate:
        read(settings, f"{client}_certificate"), read(settings, f"{client}_key")
        key: Path | None = getattr(settings, f"{client}_key")
        try:
            made.load_cert_chain(absolute(certificate), absolute(key) if key else None)
        except (ssl.SSLError, ValueError):
            raise _useless(settings, f"{client}_certificate") from None
    return made


def read(settings: Settings, name: str) -> bytes | None:
    """Return the content of a setting's file. None if the setting is unset.

    Raises:
        UserError: the file can't be read.
    """
    path: Path | None = getattr(settings, name)
    if path is None:
        return None
    try:
        return absolute(path).read_bytes()
    except OSError as refusal:
        raise UserError(
            f"The file {path} of {variable(name)} can't be read: {refusal.strerror}."
        ) from None


def _useless(settings: Settings, name: str) -> UserError:
    path = getattr(settings, name)
    wanted = "certificates" if name.endswith("authorities") else "certificate with its key"
    return UserError(f"The file {path} of {variable(name)} has no {wanted} in the form PEM.")
