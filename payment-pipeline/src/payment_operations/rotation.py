"""How is a secret exchanged while everything runs, without a request lost or a forgery let in?

A provider's signing secret: `rotate` puts the new one before the old, and both verify; `retire`
takes the old one out, once nothing is signed with it any more. A role's password: the file first,
then the server; who is connected goes on, and who connects asks the file anew. `up` sets every
password to its file's, so what was interrupted between the two is made good. What its readers read
only at their start: they are stopped, and start with the new one; none is on a webhook's way.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

import aiohttp
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from local_stack import roles, stack, supervisor
from local_stack.files import exclusive, run_dir, write_private
from local_stack.generated_secrets import generate, new_secret
from local_stack.http import TIMEOUT
from payment_pipeline.adapters.postgres import unreachable
from payment_pipeline.domain.failures import UserError
from payment_pipeline.providers import Provider, providers
from payment_pipeline.settings import Settings, fingerprint, signing_name, variable

from .stack_start import up

SECRET_CHARS_MIN: Final = 20
"""Of a signing secret: Stripe's are `whsec_` and 32 letters and digits. Less could be guessed."""
LIVE_MAX: Final = 3
"""Signing secrets that verify at once: each one more is one more that can leak."""
LIVE_WAIT_S: Final = 5.0
POLL_S: Final = 0.1
USED_METRIC: Final = "payments_gateway_secret_used_timestamp_seconds"


DAGSTER: Final = ("dagster-daemon", "dagster-webserver", "dagster-code")


class Held(NamedTuple):
    """Secrets that are exchanged together, and who reads them at their start."""

    secrets: tuple[str, ...]
    readers: tuple[str, ...]


HELD: Final[Mapping[str, Held]] = {
    "postgres_dagster_password": Held(("postgres_dagster_password",), DAGSTER),
    "s3": Held(
        ("s3_access_key", "s3_secret_key"), (*DAGSTER, "lake-metrics", "trino", "seaweedfs")
    ),
    "superset_admin_password": Held(("superset_admin_password",), ("superset",)),
    "superset_secret_key": Held(("superset_secret_key",), ("superset",)),
}
"""By what `payments secrets rotate` calls them."""


class Used(NamedTuple):
    """What a running gateway says of one signing secret."""

    fingerprint: str
    at_s: float
    """When it verified a request last, Unix time; 0 if never since the gateway's start."""


def live(settings: Settings, provider: str) -> list[str]:
    """The fingerprints of a provider's live signing secrets, newest first.

    Raises:
        UserError: there is no such provider, or it has no secret.
    """
    return [fingerprint(each) for each in settings.signing_secrets(_provider(provider))]


def rotate_signing(settings: Settings, provider: str, given: str | None = None) -> str:
    """Put a new signing secret before the live ones; its fingerprint.

    Args:
        settings: whose folder of secrets it is.
        provider: as in the webhook's path.
        given: the secret that the provider has shown; a random one if left out.

    Raises:
        UserError: it can't be one, it is live already, or too many are.
    """
    signer, name = _provider(provider), signing_name(provider)
    _refuse_environment(settings, name)
    new = new_secret(name) if given is None else given.strip()
    if len(new) < SECRET_CHARS_MIN or not new.isascii() or set(new) & set(", \t\n"):
        raise UserError(f"That is no signing secret: it is {SECRET_CHARS_MIN} characters or more.")
    with exclusive(run_dir(settings) / "secrets.lock"):
        known = settings.signing_secrets(signer)
        if new in known:
            raise UserError(f"{fingerprint(new)} is live already.", exit_code=1)
        if len(known) >= LIVE_MAX:
            raise UserError(
                f"{len(known)} secrets of {provider} are live: retire the old ones first, with "
                f"`payments secrets retire {provider}`.",
                exit_code=1,
            )
        write_private(settings.secrets_dir / name, "\n".join([new, *known]) + "\n")
    return fingerprint(new)


def retire_signing(settings: Settings, provider: str, quiet_s: float, *, force: bool) -> list[str]:
    """Take out every signing secret but the newest; the fingerprints of those.

    Raises:
        UserError: only one is live; one of the old verified a request within `quiet_s`, or no
            gateway answers that could say so, and it isn't forced.
    """
    signer, name = _provider(provider), signing_name(provider)
    _refuse_environment(settings, name)
    with exclusive(run_dir(settings) / "secrets.lock"):
        newest, *old = settings.signing_secrets(signer)
        if not old:
            raise UserError(f"Only {fingerprint(newest)} is live: rotate first.", exit_code=1)
        retired = [fingerprint(each) for each in old]
        if not force:
            _refuse_used(settings, provider, retired, quiet_s)
        write_private(settings.secrets_dir / name, newest + "\n")
    return retired


def wait_until_live(settings: Settings, provider: str) -> bool | None:
    """Whether the gateway verifies with what is in the file now; None if none answers here."""
    wanted = set(live(settings, provider))
    deadline = time.monotonic() + LIVE_WAIT_S
    while (used := _ask_gateway(settings, provider)) is not None:
        if {each.fingerprint for each in used} == wanted:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return None


def rotate_password(settings: Settings, name: str) -> None:
    """Give a PostgreSQL role a new password, by its secret's name.

    Raises:
        UserError: services don't read it anew, or the server isn't ours or doesn't answer.
    """
    if name not in rotatable_passwords(settings):
        names = ", ".join([*sorted(providers()), *rotatable_passwords(settings), *HELD])
        raise UserError(f"No secret {name} to rotate: there are {names}.")
    if settings.postgres_dsn:
        raise UserError("PostgreSQL runs elsewhere: change it there, then PAYMENTS_POSTGRES_DSN.")
    _refuse_environment(settings, name)
    with exclusive(run_dir(settings) / "secrets.lock"):
        path, old = settings.secrets_dir / name, settings.secret(name)
        write_private(path, secrets.token_urlsafe(32) + "\n")
        try:
            asyncio.run(roles.ensure(settings))
        except psycopg.OperationalError as refusal:
            write_private(path, old + "\n")
            raise unreachable(settings.dsn, type(refusal).__name__) from refusal


def rotate_held(settings: Settings, name: str) -> list[str]:
    """Give the readers of a secret of `HELD` a new one; those that were restarted.

    Meanwhile webhooks are taken, scored and written to bronze; loads wait.

    Raises:
        UserError: it is set in the environment, or something stored is encrypted with it; or a
            reader does not come back.
    """
    held = HELD[name]
    for each in held.secrets:
        _refuse_environment(settings, each)
    if name == "superset_secret_key" and settings.trino_password:
        raise UserError(
            "Superset's metadata holds Trino's password, encrypted with it: docs/security.md says "
            "how to exchange both."
        )
    states = supervisor.states(settings)
    running = [each for each in held.readers if states.get(each, {}).get("pid")]
    with exclusive(run_dir(settings) / "secrets.lock"):
        stack.stop(settings, running)
        for each in held.secrets:
            (settings.secrets_dir / each).unlink(missing_ok=True)
        generate(settings)
    if running:
        up(settings, only=tuple(running))
    return running


def rotatable_passwords(settings: Settings) -> tuple[str, ...]:
    """The passwords that their users read at each connection: Dagster's stands in its file."""
    return tuple(
        secret for role, secret in roles.passwords(settings).items() if role != roles.DAGSTER
    )


def is_provider(name: str) -> bool:
    """Whether a name is a provider's."""
    return name in providers()


def _provider(name: str) -> Provider:
    if not is_provider(name):
        raise UserError(f"No provider {name}: there are {', '.join(sorted(providers()))}.")
    return providers()[name]


def _refuse_environment(settings: Settings, name: str) -> None:
    if name in settings.given_secrets:
        raise UserError(f"{variable(name)} is set, and wins over the file: change it there.")


def _refuse_used(settings: Settings, provider: str, old: list[str], quiet_s: float) -> None:
    used = _ask_gateway(settings, provider)
    if used is None:
        raise UserError(
            "No gateway answers, so nobody knows whether the old secret is still used: "
            "--force retires it all the same.",
            exit_code=1,
        )
    for each in used:
        if each.fingerprint in old and (ago_s := time.time() - each.at_s) < quiet_s:
            raise UserError(
                f"{each.fingerprint} verified a request {ago_s:.0f} s ago: has {provider} been "
                f"told of the new one? --force retires it all the same.",
                exit_code=1,
            )


def _ask_gateway(settings: Settings, provider: str) -> list[Used] | None:
    return asyncio.run(_used(settings, provider))


async def _used(settings: Settings, provider: str) -> list[Used] | None:
    url = f"http://{settings.host}:{settings.gateway_port}/metrics"
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.get(url) as answer:
            page = await answer.text()
    except (aiohttp.ClientError, TimeoutError):
        return None
    return [
        Used(sample.labels["secret"], sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == USED_METRIC and sample.labels["provider"] == provider
    ]
