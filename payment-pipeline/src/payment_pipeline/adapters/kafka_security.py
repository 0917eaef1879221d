"""How a Kafka client connects: with or without TLS, and as which user.

Every producer, consumer and admin client of the pipeline gets these options.
"""

import ssl
from functools import partial
from typing import Any, Final

from payment_pipeline.adapters import client_tls
from payment_pipeline.settings import Settings

OPERATOR: Final = "payments"
"""The local broker's user that may do everything: of `payments` commands."""
LOCAL_MECHANISM: Final = "SCRAM-SHA-512"


def options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of an aiokafka client: the brokers, the protocol, and the credentials.

    Raises:
        UserError: a file of the settings can't be used.
        MissingSecretError: the password is missing.
    """
    brokers = {"bootstrap_servers": settings.kafka}
    if settings.local_kafka_has_users:
        return brokers | _local(settings)
    if not settings.kafka_bootstrap_servers:
        return brokers
    protocol = settings.kafka_security_protocol
    given: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        given["ssl_context"] = client_tls.context(settings, "kafka")
    if protocol.startswith("SASL"):
        given |= _login(
            settings, settings.kafka_sasl_mechanism, settings.kafka_user, "kafka_password"
        )
    return brokers | given


def password_name(user: str) -> str:
    """Return the name of the secret of a user of the local broker."""
    return f"kafka_{user}_password"


def _local(settings: Settings) -> dict[str, Any]:
    user = settings.kafka_user or OPERATOR
    return {
        "security_protocol": "SASL_SSL",
        "ssl_context": ssl.create_default_context(cafile=str(settings.authority_of("kafka"))),
        **_login(settings, LOCAL_MECHANISM, user, password_name(user)),
    }


def _login(settings: Settings, mechanism: str, user: str | None, secret: str) -> dict[str, Any]:
    """Return the login. Each connection asks for the password: `kafka_connection`."""
    settings.secret(secret)  # a missing one is an error now
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": partial(settings.secret, secret),
    }
