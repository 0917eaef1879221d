"""The TLS certificates of the servers that run here.

Each server has its own authority, which signs one certificate. The authority's key is never written
to a file, so nobody can sign another one. A client that trusts the authority trusts this server
alone. A server that demands a certificate of its own authority from its clients admits only itself
and the programs that can read its files.
"""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from local_stack.files import write_private
from payment_pipeline.settings import Settings

# The package is imported where certificates are made: `payments` starts faster without it.
if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

VALID: Final = timedelta(days=3650)
RENEWED_BEFORE: Final = timedelta(days=365)
"""A start makes a new certificate if the present one ends within this time."""
CLOCK_SKEW: Final = timedelta(minutes=5)


class Certificate(NamedTuple):
    """The files of one server."""

    authority: Path
    """The certificate of the server's authority, with which a client checks the server."""
    server: Path
    """The server's private key and its certificate, which is valid for servers and clients."""


def paths(settings: Settings, server: str) -> Certificate:
    """The paths of a server's files, whether or not the files exist."""
    return Certificate(settings.authority_of(server), settings.secrets_dir / f"{server}.server.pem")


def ensure(settings: Settings, server: str) -> Certificate:
    """Make the certificate of a server, unless a lasting one for this host exists."""
    found = paths(settings, server)
    if not _lasts(found, settings.host):
        authority, own = made(server, settings.host)
        write_private(found.authority, authority)
        write_private(found.server, own)
    return found


def own_client(settings: Settings, server: str) -> ssl.SSLContext:
    """The TLS of a client that shows the server's own certificate, and admits that server alone."""
    files = paths(settings, server)
    context = ssl.create_default_context(cafile=str(files.authority))
    context.load_cert_chain(files.server)
    return context


def _lasts(found: Certificate, host: str) -> bool:
    from cryptography import exceptions, x509

    try:
        authority, own = (x509.load_pem_x509_certificate(path.read_bytes()) for path in found)
        own.verify_directly_issued_by(authority)
    except (OSError, ValueError, exceptions.InvalidSignature):
        return False
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    left = min(authority.not_valid_after_utc, own.not_valid_after_utc) - datetime.now(UTC)
    return left > RENEWED_BEFORE and _general_name(host) in names


def made(server: str, host: str) -> tuple[str, str]:
    """Make a new authority and a certificate of it.

    Returns:
        The authority's certificate, and the private key with the certificate of a server that is
        called `host`; both as PEM.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _name(f"authority of {server}")
    from_authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    authority = (
        _unsigned(issuer, issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    own = (
        _unsigned(issuer, _name(server), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(from_authority, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (
        authority.public_bytes(Encoding.PEM).decode(),
        (private + own.public_bytes(Encoding.PEM)).decode(),
    )


def _unsigned(
    issuer: "x509.Name", subject: "x509.Name", public_key: "EllipticCurvePublicKey"
) -> "x509.CertificateBuilder":
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs: bool) -> "x509.KeyUsage":
    """An authority only signs certificates. A server only signs its handshakes."""
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> "x509.Name":
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
