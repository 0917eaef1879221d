"""The least length of each secret, so that nobody can guess one."""

from typing import Final, NamedTuple

PASSWORD_CHARS_MIN: Final = 16
"""The least length of a password, of a signing secret and of any other secret."""
KEY_CHARS_MIN: Final = 32
"""The least length of a key. Candidates for a key can be tried without asking a server."""
KEYS: Final = ("backup_key", "superset_secret_key", "temporal_payload_keys")
SEVERAL: Final = ("temporal_payload_keys", "inference_token")
"""The settings that may hold several secrets, as a provider's signing secrets may."""
UNMEASURED: Final = ("s3_access_key", "postgres_dsn", "dagster_dsn")
"""The id of an access key is no secret. The passwords in a DSN belong to a server elsewhere."""


class Short(NamedTuple):
    """A secret that could be guessed. Neither text has a part of it."""

    finding: str
    remedy: str


def several(secrets: str) -> tuple[str, ...]:
    """The secrets of a setting that may hold several: one a line, or separated by commas."""
    parts = (part.strip() for part in secrets.replace("\n", ",").split(","))
    return tuple(part for part in parts if part)


def too_short(name: str, secret: str) -> Short | None:
    """What is wrong with a secret of this setting, or None if it is long enough."""
    least = KEY_CHARS_MIN if name in KEYS else PASSWORD_CHARS_MIN
    parts = several(secret) if name.startswith("webhook_") or name in SEVERAL else [secret.strip()]
    if name in UNMEASURED or all(len(part) >= least for part in parts if part):
        return None
    return Short(
        f"has fewer than {least} characters and could be guessed",
        "use a random one, such as the output of `openssl rand -hex 32`",
    )
