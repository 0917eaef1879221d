"""The users of the local Kafka and what each may do, when the stack is secure.

The users are made through the controller's port, which admits only who shows the broker's own
certificate. So no password is needed before the first one exists, and a changed one takes effect at
the next `payments up`. aiokafka has no call for users: `UpsertUsers` is Kafka's request 51.
"""

import os
from collections.abc import Callable, Iterator
from hashlib import pbkdf2_hmac
from typing import Any, Final, NamedTuple

from aiokafka import conn
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.admin import CreateAclsRequest_v1
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from local_stack import certificates
from payment_pipeline.adapters.kafka_security import OPERATOR, password_name
from payment_pipeline.domain import topics
from payment_pipeline.settings import Settings

NAME: Final = "kafka"
"""The broker's name in its certificate, which is its user on the controller's port."""
SCRAM_SHA_512: Final = 2
ITERATIONS: Final = 8192
SALT_BYTES: Final = 16
TOPIC, GROUP = 2, 3
LITERAL, PREFIXED = 3, 4
READ, WRITE, DESCRIBE, DESCRIBE_CONFIGS = 3, 4, 8, 10
ALLOW: Final = 3
REQUEST_TIMEOUT_MS: Final = 5_000


class Right(NamedTuple):
    """What a user may do with the topics or groups of a name, or whose name begins so."""

    resource: int
    name: str
    operations: tuple[int, ...]
    pattern: int = LITERAL


def _read(name: str, pattern: int = LITERAL) -> Right:
    return Right(TOPIC, name, (READ, DESCRIBE, DESCRIBE_CONFIGS), pattern)


RAW: Final = "webhooks."
OURS: Final = "payments."
RIGHTS: Final[dict[str, tuple[Right, ...]]] = {
    "gateway": (Right(TOPIC, RAW, (WRITE, DESCRIBE), PREFIXED),),
    "normalizer": (
        _read(RAW, PREFIXED),
        Right(TOPIC, OURS, (WRITE, DESCRIBE), PREFIXED),
        Right(GROUP, "normalizer", (READ, DESCRIBE)),
    ),
    "dispatcher": (
        _read(OURS, PREFIXED),
        _read(topics.DLQ_WEBHOOKS),
        Right(GROUP, "dispatcher", (READ, DESCRIBE)),
    ),
    "worker": (_read(OURS, PREFIXED), _read(topics.DLQ_WEBHOOKS)),
    # Dagster's hourly check of the ledger.
    "ledger": (
        _read(RAW, PREFIXED),
        _read(OURS, PREFIXED),
        Right(GROUP, "normalizer", (DESCRIBE,)),
        Right(GROUP, "dispatcher", (DESCRIBE,)),
    ),
}
"""The rights of each service. The operator's user may do everything."""

SECRETS: Final = tuple(password_name(user) for user in (OPERATOR, *RIGHTS))
"""The names of all passwords of the broker."""
SUPER_USERS: Final = (f"CN={NAME}", OPERATOR)


class UsersUpserted(Response):  # type: ignore[misc]  # aiokafka has no types
    """Kafka's answer to `UpsertUsersStruct`."""

    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class UpsertUsersStruct(RequestStruct):  # type: ignore[misc]
    """Kafka's AlterUserScramCredentials in its only version."""

    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = UsersUpserted
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(
                ("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)
            ),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class UpsertUsers(Request[UpsertUsersStruct]):  # type: ignore[misc]
    """Makes users, or changes their passwords, which are hashed here."""

    API_KEY = 51

    def __init__(self, passwords: dict[str, str]) -> None:
        self._users = [_hashed(user, password) for user, password in passwords.items()]

    def build(self, request_struct_class: type[UpsertUsersStruct]) -> UpsertUsersStruct:
        """Return the request."""
        return request_struct_class([], self._users, {})


class AllowAll(Request[CreateAclsRequest_v1]):  # type: ignore[misc]
    """Adds every right of `RIGHTS`. A right that exists stays."""

    API_KEY = 30

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        """Return the request."""
        return request_struct_class(list(_acls()))


def logs_in_as(user: str) -> Callable[[Settings], dict[str, str]]:
    """The settings of a process that is a user of its own of a local Kafka that asks for one."""

    def settings_of(settings: Settings) -> dict[str, str]:
        return {"kafka_user": user} if settings.local_kafka_has_users else {}

    return settings_of


async def ensure(settings: Settings) -> None:
    """Make the missing users, set every password to its secret, and add the missing rights.

    Raises:
        KafkaError: the controller refuses.
        OSError: the controller does not answer.
    """
    controller = await conn.create_conn(
        settings.host,
        settings.kafka_controller_port,
        security_protocol="SSL",
        ssl_context=certificates.own_client(settings, NAME),
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    try:
        passwords = {user: settings.secret(password_name(user)) for user in (OPERATOR, *RIGHTS)}
        users = await controller.send(UpsertUsers(passwords))
        rights = await controller.send(AllowAll())
    finally:
        # aiokafka closes a TLS connection later, and after a command there is no later.
        await controller.close()
    _refuse([(code, said) for _, code, said, _ in users.results])
    _refuse(list(rights.creation_responses))


def _refuse(answers: list[tuple[int, str | None]]) -> None:
    for code, said in answers:
        if (error := for_code(code)) is not NoError:
            raise error(said)


def _hashed(user: str, password: str) -> tuple[str, int, int, bytes, bytes, dict[int, bytes]]:
    salt = os.urandom(SALT_BYTES)
    salted = pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return user, SCRAM_SHA_512, ITERATIONS, salt, salted, {}


def _acls() -> Iterator[tuple[Any, ...]]:
    for user, rights in RIGHTS.items():
        for resource, name, operations, pattern in rights:
            for operation in operations:
                yield resource, name, pattern, f"User:{user}", "*", operation, ALLOW
