"""The Secrets of the namespace: generated once, never printed, never in a manifest."""

import json
from typing import Final

from local_stack import certificates, generated_secrets

from .cluster_tools import NAMESPACE, found, kubectl

NAME: Final = "payments-secrets"
POLARIS_ROOT: Final = "polaris_bootstrap_credentials"
TRINO: Final = "trino"

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

    A profile whose secrets come from another store (External Secrets) gets only certificates.
    """
    made = _ensure_keys() if profile == "dev" else ()
    return (*made, *_ensure_trino_certificate())


def wanted() -> tuple[str, ...]:
    """The names of the secrets that the charts refer to."""
    return (*generated_secrets.names(), "trino_password", "trino_reader_password")


def _ensure_keys() -> tuple[str, ...]:
    existing = found("secret", NAME)
    if existing is None:
        empty = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}}
        kubectl("create", "--filename", "-", given=json.dumps(empty))
    keys = set((existing or {}).get("data") or {})
    new = {
        name: generated_secrets.new_secret(name)
        for name in dict.fromkeys(wanted())
        if name not in keys
    }
    if POLARIS_ROOT not in keys:
        root = generated_secrets.new_secret(POLARIS_ROOT)
        new |= {POLARIS_ROOT: f"POLARIS,root,{root}", "catalog_credential": f"root:{root}"}
    if new:
        # By standard input, because other users of the machine see the arguments of a process.
        patch = json.dumps({"stringData": new})
        kubectl("patch", "secret", NAME, "--patch-file", "/dev/stdin", given=patch)
    return tuple(new)


def _ensure_trino_certificate() -> tuple[str, ...]:
    """Make Trino's certificate and its authority, for the name of its service."""
    if found("secret", f"{TRINO}-tls"):
        return ()
    authority, server = certificates.made(TRINO, TRINO)
    for name, key, text in (
        (f"{TRINO}-tls", "server.pem", server),
        (f"{TRINO}-authority", "ca.crt", authority),
    ):
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": {key: text},
        }
        kubectl("apply", "--server-side", "--filename", "-", given=json.dumps(secret))
    return (f"{TRINO}-tls", f"{TRINO}-authority")
