"""The Secrets of the namespace: generated once, never printed, never in a manifest."""

import json
from typing import Final

from local_stack import certificates, generated_secrets

from .cluster_tools import NAMESPACE, found, kubectl

NAME: Final = "payments-secrets"
CERTIFIED: Final = ("trino",)
"""The servers with TLS, whose Secrets are `<server>-tls` and `<server>-authority`."""
_NAMESPACE: Final = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": NAMESPACE,
        "labels": {
            f"pod-security.kubernetes.io/{mode}": "restricted"
            for mode in ("enforce", "warn", "audit")
        },
    },
}


def ensure_namespace() -> None:
    """Make the namespace. The API server refuses each pod that is not restricted in it."""
    kubectl("apply", "--server-side", "--filename", "-", given=json.dumps(_NAMESPACE))


def ensure(profile: str) -> tuple[str, ...]:
    """Generate each missing secret, and return the names of the new ones.

    In production the secrets come from another store, through External Secrets.
    """
    if profile != "dev":
        return ()
    existing = found("secret", NAME)
    if existing is None:
        empty = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}}
        kubectl("create", "--filename", "-", given=json.dumps(empty))
    keys = set((existing or {}).get("data") or {})
    new = {
        name: generated_secrets.new_secret(name)
        for name in generated_secrets.names()
        if name not in keys
    }
    if new:
        # By standard input, because other users of the machine see the arguments of a process.
        patch = json.dumps({"stringData": new})
        kubectl("patch", "secret", NAME, "--patch-file", "/dev/stdin", given=patch)
    certified = tuple(name for server in CERTIFIED for name in _ensure_certificate(server))
    return (*new, *certified)


def _ensure_certificate(server: str) -> tuple[str, ...]:
    """Make the certificate of a server and of its authority, unless both exist."""
    names = f"{server}-tls", f"{server}-authority"
    if all(found("secret", name) for name in names):
        return ()
    authority, own = certificates.made(server, host=server)
    given = {"server.pem": own}, {"ca.crt": authority}
    for name, texts in zip(names, given, strict=True):
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": texts,
        }
        kubectl("apply", "--server-side", "--filename", "-", given=json.dumps(secret))
    return names
