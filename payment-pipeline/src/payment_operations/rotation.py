"""The rotation of secrets while the pipeline runs, with no lost request and no accepted forgery.

A provider's signing secret: `rotate` puts the new secret in front of the old one, and the gateway
accepts both; `retire` removes the old one when nothing is signed with it any more.

The password of a PostgreSQL role: first the file changes, then the server. Open connections
continue, and new connections read the file. If a rotation is interrupted between the two steps,
`payments up` repairs it, because `up` sets every password to that of its file.

A secret that components read only at their start: those components are restarted with the new
secret. No webhook depends on them.
"""

import asyncio
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

import aiohttp
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from local_stack import kafka_users, roles, stack, supervisor
from local_stack.files import exclusive, run_dir, write_private
from local_stack.generated_secrets import generate, new_secret
from local_stack.http import TIMEOUT
from payment_pipeline.adapters.postgres import unreachable
from payment_pipeline.domain.failures import UserError
from payment_pipeline.providers import Provider, providers
from payment_pipeline.secret_length import SEVERAL
from payment_pipeline.settings import Settings, fingerprint, signing_name, variable

from .stack_start import up

SECRET_CHARS_MIN: Final = 20
"""Shorter signing secrets could be guessed; Stripe's are `whsec_` and 32 letters and digits."""
LIVE_MAX: Final = 3
"""Signing secrets that are accepted at a time; each of them can leak."""
LIVE_WAIT_S: Final = 5.0
POLL_S: Final = 0.1
USED_METRIC: Final = "payments_gateway_secret_used_timestamp_seconds"

DAGSTER: Final = ("dagster-daemon", "dagster-webserver", "dagster-code")


class Held(NamedTuple):
    """Secrets that change together, and the components that read them at their start."""

    secrets: tuple[str, ...]
    readers: tuple[str, ...]


HELD: Final[Mapping[str, Held]] = {
    "postgres_dagster_password": Held(("postgres_dagster_password",), DAGSTER),
    "s3": Held(
        ("s3_access_key", "s3_secret_key"), (*DAGSTER, "lake-metrics", "trino", "seaweedfs")
    ),
    "trino": Held(
        ("trino_password", "trino_reader_password"), ("dagster-code", "superset", "trino")
    ),
    "dagster_password": Held(("dagster_password",), ("dagster-webserver",)),
    "superset_admin_password": Held(("superset_admin_password",), ("superset",)),
    "superset_secret_key": Held(("superset_secret_key",), ("superset",)),
}
"""By the name that `payments secrets rotate` takes."""


class Used(NamedTuple):
    """The last use of one signing secret, as a running gateway reports it."""

    fingerprint: str
    at_s: float
    """Unix time of the last request that it verified; 0 if none since the gateway's start."""


def live(settings: Settings, provider: str) -> list[str]:
    """Return the fingerprints of a provider's accepted signing secrets, newest first.

    Raises:
        UserError: there is no such provider, or it has no secret.
    """
    return [fingerprint(each) for each in settings.signing_secrets(_provider(provider))]


def rotate_signing(settings: Settings, provider: str, given: str | None = None) -> str:
    """Put a new signing secret in front of the accepted ones; return its fingerprint.

    Args:
        settings: of the stack.
        provider: the name in the webhook's path.
        given: the secret that the provider shows; a random one if left out.

    Raises:
        UserError: the value is no signing secret, it is already accepted, or there are too many.
    """
    signer, name = _provider(provider), signing_name(provider)
    refuse_environment(settings, name)
    new = new_secret(name) if given is None else given.strip()
    if len(new) < SECRET_CHARS_MIN or not new.isascii() or set(new) & set(", \t\n"):
        raise UserError(
            f"That is no signing secret: it needs at least {SECRET_CHARS_MIN} ASCII characters, "
            "without spaces and commas. Copy it from the provider's dashboard."
        )
    with exclusive(run_dir(settings) / "secrets.lock"):
        known = settings.signing_secrets(signer)
        if new in known:
            raise UserError(
                f"{fingerprint(new)} is already in the file. There is nothing to do.", exit_code=1
            )
        if len(known) >= LIVE_MAX:
            raise UserError(
                f"{provider} already has {len(known)} signing secrets. Retire the old ones first: "
                f"`payments secrets retire {provider}`.",
                exit_code=1,
            )
        write_private(settings.secrets_dir / name, "\n".join([new, *known]) + "\n")
    return fingerprint(new)


def retire_signing(settings: Settings, provider: str, quiet_s: float, *, force: bool) -> list[str]:
    """Remove every signing secret but the newest; return the fingerprints of the removed ones.

    Raises:
        UserError: there is only one; or, unless `force` is set, an old one verified a request
            within `quiet_s`, or no gateway answers.
    """
    signer, name = _provider(provider), signing_name(provider)
    refuse_environment(settings, name)
    with exclusive(run_dir(settings) / "secrets.lock"):
        newest, *old = settings.signing_secrets(signer)
        if not old:
            raise UserError(
                f"{provider} has only the signing secret {fingerprint(newest)}. Add a new one "
                f"first: `payments secrets rotate {provider}`.",
                exit_code=1,
            )
        retired = [fingerprint(each) for each in old]
        if not force:
            _refuse_used(settings, provider, retired, quiet_s)
        write_private(settings.secrets_dir / name, newest + "\n")
    return retired


def wait_until_live(settings: Settings, provider: str) -> bool | None:
    """Wait until the gateway accepts the secrets of the file; None if no gateway answers."""
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
    """Give a PostgreSQL role a new password, by the name of its secret.

    Raises:
        UserError: this password can't be rotated, PostgreSQL runs elsewhere or does not answer.
    """
    if name not in rotatable_passwords(settings):
        passwords = (*rotatable_passwords(settings), *kafka_users.SECRETS)
        names = ", ".join([*sorted(providers()), *passwords, *SEVERAL, *HELD])
        raise UserError(f"There is no secret {name} that can be rotated. Use one of: {names}.")
    if settings.postgres_dsn:
        raise UserError(
            "PostgreSQL runs elsewhere. Change the password there, then in PAYMENTS_POSTGRES_DSN."
        )
    refuse_environment(settings, name)
    with new_password(settings, name):
        try:
            asyncio.run(roles.ensure(settings))
        except psycopg.OperationalError as refusal:
            raise unreachable(settings.dsn, type(refusal).__name__) from refusal


@contextmanager
def new_password(settings: Settings, name: str) -> Iterator[None]:
    """Write a new password to its file; the block tells it to the server.

    After a `UserError` of the block the file has the old password again.
    """
    with exclusive(run_dir(settings) / "secrets.lock"):
        path, old = settings.secrets_dir / name, settings.secret(name)
        write_private(path, secrets.token_urlsafe(32) + "\n")
        try:
            yield
        except UserError:
            write_private(path, old + "\n")
            raise


def rotate_held(settings: Settings, name: str) -> list[str]:
    """Replace a secret of `HELD` and restart its readers; return those that were restarted.

    Meanwhile webhooks are received, scored and written to bronze; loads wait.

    Raises:
        UserError: the secret is set in the environment, or a reader does not start again.
    """
    held = HELD[name]
    for each in held.secrets:
        refuse_environment(settings, each)
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
    """The passwords that services read at each connection. Dagster reads its own at its start."""
    return tuple(
        secret for role, secret in roles.passwords(settings).items() if role != roles.DAGSTER
    )


def is_provider(name: str) -> bool:
    """Say whether there is a provider of this name."""
    return name in providers()


def _provider(name: str) -> Provider:
    if not is_provider(name):
        raise UserError(
            f"There is no provider {name}. Use one of: {', '.join(sorted(providers()))}."
        )
    return providers()[name]


def refuse_environment(settings: Settings, name: str) -> None:
    """Refuse to change the file of a secret that the environment overrides.

    Raises:
        UserError: the environment sets the secret.
    """
    if name in settings.given_secrets:
        raise UserError(
            f"The environment variable {variable(name)} is set and overrides the file. Change the "
            "variable."
        )


def _refuse_used(settings: Settings, provider: str, old: list[str], quiet_s: float) -> None:
    used = _ask_gateway(settings, provider)
    if used is None:
        raise UserError(
            "No gateway answers, so the last use of the old secret is unknown. Start the gateway "
            "(`payments up`), or retire the secret in any case with --force.",
            exit_code=1,
        )
    for each in used:
        if each.fingerprint in old and (ago_s := time.time() - each.at_s) < quiet_s:
            raise UserError(
                f"{each.fingerprint} verified a request {ago_s:.0f} s ago. Activate the new secret "
                f"at {provider}, or retire the old one in any case with --force.",
                exit_code=1,
            )


def _ask_gateway(settings: Settings, provider: str) -> list[Used] | None:
    return asyncio.run(_used(settings, provider))


async def _used(settings: Settings, provider: str) -> list[Used] | None:
    url = f"http://{settings.host}:{settings.gateway_metrics_port}/metrics"
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
