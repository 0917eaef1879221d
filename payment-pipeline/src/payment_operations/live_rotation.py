"""The rotation of secrets that each use reads again: Kafka's passwords, a token, payload keys.

No component is restarted, and nothing is refused meanwhile.

The password of a user of the local Kafka: first the file changes, then the broker. Open connections
continue, and new connections read the file. If a rotation is interrupted between the two steps,
`payments up` repairs it.

A setting that may hold several secrets: `rotate` puts the new one in front. The first is sent, or
encrypts; all are accepted, or decrypt. `retire` removes all but the first.
"""

import asyncio
from datetime import UTC, datetime

from aiokafka.errors import KafkaError

from local_stack import kafka_users
from local_stack.files import exclusive, run_dir, write_private
from local_stack.generated_secrets import new_secret
from payment_pipeline.adapters import temporal, temporal_payloads
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, fingerprint

from .rotation import new_password, refuse_environment


def rotate_kafka_password(settings: Settings, name: str) -> None:
    """Give a user of the local Kafka a new password, by the name of its secret.

    Raises:
        UserError: Kafka has no users, or does not answer.
    """
    if not settings.local_kafka_has_users:
        raise UserError(
            "The local Kafka has users only in a stack of `payments up --secure`. If Kafka runs "
            "elsewhere, change the password there, then in PAYMENTS_KAFKA_PASSWORD."
        )
    with new_password(settings, name):
        try:
            asyncio.run(kafka_users.ensure(settings))
        except (KafkaError, OSError) as refusal:
            raise UserError(
                "Kafka's controller does not answer, so the password stays as it was. Check "
                "`payments status`.",
                exit_code=1,
            ) from refusal


def add_in_front(settings: Settings, name: str) -> str:
    """Put a new secret in front of those of a setting of `SEVERAL`; return its fingerprint.

    Raises:
        UserError: the environment sets the secrets.
    """
    refuse_environment(settings, name)
    with exclusive(run_dir(settings) / "secrets.lock"):
        new = new_secret(name)
        lines = "\n".join([new, *settings.secrets_of(name)])
        write_private(settings.secrets_dir / name, lines + "\n")
    return fingerprint(new)


def retire_older(settings: Settings, name: str, *, force: bool) -> list[str]:
    """Remove every secret but the newest of a setting of `SEVERAL`; return their fingerprints.

    Raises:
        UserError: there is only one; or, unless `force` is set, Temporal still has a workflow from
            before the newest payload key.
    """
    refuse_environment(settings, name)
    with exclusive(run_dir(settings) / "secrets.lock"):
        newest, *old = settings.secrets_of(name)
        if not old:
            raise UserError(
                f"{name} has only the secret {fingerprint(newest)}. Add a new one first: "
                f"`payments secrets rotate {name}`.",
                exit_code=1,
            )
        if name == temporal_payloads.NAME and not force:
            asyncio.run(_refuse_older_workflows(settings))
        write_private(settings.secrets_dir / name, newest + "\n")
    return [fingerprint(each) for each in old]


async def _refuse_older_workflows(settings: Settings) -> None:
    """Each workflow that started after the last change of the file has only the newest key."""
    changed_s = (settings.secrets_dir / temporal_payloads.NAME).stat().st_mtime
    changed = datetime.fromtimestamp(changed_s, UTC).isoformat()
    client = await temporal.connect(settings)
    with temporal.refusals(settings):
        older = (await client.count_workflows(f"StartTime <= '{changed}'")).count
    if older:
        raise UserError(
            f"Temporal has {older} workflows from before the newest key, and an older key may be "
            "needed to read them. Retire it when their retention has passed, or in any case with "
            "--force.",
            exit_code=1,
        )
