"""Tests of the certificates: who trusts them, and when they are made again."""

import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from local_stack import certificates
from local_stack.certificates import Certificate
from payment_pipeline.settings import Settings

SettingsOf = Callable[..., Settings]


def handshake(server: Certificate, authority: Path, host: str) -> None:
    """Do the TLS handshake of a client that trusts an authority.

    Raises:
        ssl.SSLCertVerificationError: the client refuses the server.
    """
    answers = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    answers.load_cert_chain(server.server)
    asks = ssl.create_default_context(cafile=authority)
    asks.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asks.wrap_bio(back, there, server_hostname=host)
    service = answers.wrap_bio(there, back, server_side=True)
    for side in (client, service, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.getpeercert()


def test_a_client_trusts_the_server_by_its_authority_alone(isolated: SettingsOf) -> None:
    settings = isolated()
    mine, other = (certificates.ensure(settings, name) for name in ("trino", "seaweedfs"))
    handshake(mine, mine.authority, settings.host)
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        handshake(mine, other.authority, settings.host)
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        handshake(mine, mine.authority, "127.0.0.2")


def test_the_files_are_private_and_hold_one_key(isolated: SettingsOf) -> None:
    made = certificates.ensure(isolated(), "trino")
    assert [path.stat().st_mode & 0o777 for path in made] == [0o600, 0o600]
    assert "PRIVATE KEY" in made.server.read_text()
    assert "PRIVATE KEY" not in made.authority.read_text()


def test_a_second_start_keeps_the_certificate(isolated: SettingsOf) -> None:
    settings = isolated()
    before = certificates.ensure(settings, "trino").server.read_bytes()
    assert certificates.ensure(settings, "trino").server.read_bytes() == before


def test_another_host_a_near_end_and_a_damaged_file_give_a_new_one(
    isolated: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = isolated()
    made = certificates.ensure(settings, "trino")
    named = settings.model_copy(update={"host": "localhost"})
    handshake(certificates.ensure(named, "trino"), made.authority, "localhost")
    for path in made:
        path.write_text("damaged")
        handshake(certificates.ensure(settings, "trino"), made.authority, settings.host)
    before = made.server.read_bytes()
    monkeypatch.setattr(certificates, "RENEWED_BEFORE", certificates.VALID + timedelta(days=1))
    assert certificates.ensure(settings, "trino").server.read_bytes() != before
