"""The signing secrets that verify now. They are read at the start and when their file changes.

A rotation loses no request: write the new secret before the old secrets, separated by commas or on
lines of their own, and remove an old secret after the provider has stopped signing with it. If the
file becomes unreadable or empty, the gateway logs that and keeps the last good secrets.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from payment_pipeline.domain.failures import UserError
from payment_pipeline.providers import Provider
from payment_pipeline.rotating_secrets import file_stamp
from payment_pipeline.settings import MissingSecretError, Settings, fingerprint, signing_name

from . import gateway_metrics

WATCH_S: Final = 1.0
"""The interval between two checks of the files. A new secret is live within this time."""

log = structlog.get_logger()


class LiveSecrets:
    """The live secrets of one provider, and the verdict for each of them."""

    def __init__(self, provider: Provider, settings: Settings) -> None:
        """Reads the secrets.

        Raises:
            MissingSecretError: the provider has no secret.
        """
        self._provider = provider
        self._settings = settings
        self._path = settings.secrets_dir / signing_name(provider.name)
        self._stamp = file_stamp(self._path)
        self._prints: list[str] = []
        self._set(settings.signing_secrets(provider))

    def refresh(self) -> None:
        """Reads the secrets again if their file has changed."""
        stamp = file_stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            secrets = self._settings.signing_secrets(self._provider)
        except (MissingSecretError, OSError, UnicodeDecodeError):
            log.exception(
                "secrets_unreadable", provider=self._provider.name, still_live=len(self.secrets)
            )
            return
        if secrets != self.secrets:
            self._set(secrets)
            log.info("secrets_rotated", provider=self._provider.name, verdicts=self.verdict_names)

    @property
    def verdict_names(self) -> list[str]:
        """The verdicts. They name each secret only by its fingerprint."""
        return [verdict.decode() for verdict in self.verdicts]

    def _set(self, secrets: tuple[str, ...]) -> None:
        name = self._provider.name
        prints = [fingerprint(secret) for secret in secrets]
        for retired in set(self._prints).difference(prints):
            gateway_metrics.SECRET_USED_S.remove(name, retired)
        self._prints = prints
        self.secrets = secrets
        self.verdicts = tuple(f"verified:{name}:{each}".encode() for each in prints)
        self.used = tuple(gateway_metrics.SECRET_USED_S.labels(name, each) for each in prints)
        gateway_metrics.SECRETS_LOADED.labels(name).set(len(secrets))


def load(found: Mapping[str, Provider], settings: Settings) -> dict[str, LiveSecrets]:
    """The secrets of each provider that has any. The gateway doesn't serve the other providers.

    Raises:
        UserError: no provider has a secret, so nothing could be verified.
    """
    loaded: dict[str, LiveSecrets] = {}
    missing: list[MissingSecretError] = []
    for name, provider in found.items():
        try:
            loaded[name] = LiveSecrets(provider, settings)
        except MissingSecretError as error:
            missing.append(error)
            log.warning("provider_without_secret", provider=name)
    if not loaded:
        raise missing[0] if missing else UserError("No provider is installed.")
    return loaded


async def watch(live: Iterable[LiveSecrets]) -> None:
    """Refreshes the secrets as long as the gateway runs."""
    watched = tuple(live)
    while True:
        await asyncio.sleep(WATCH_S)
        for each in watched:
            each.refresh()
