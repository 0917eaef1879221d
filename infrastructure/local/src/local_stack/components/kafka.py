"""Kafka: one KRaft node, which is broker and controller."""

import secrets
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError

from local_stack import certificates, jars, java, kafka_users
from local_stack.component import Check, Component, Work, command_names, program
from local_stack.downloads import Download, JarLock
from local_stack.files import run_dir, var
from payment_pipeline.adapters.kafka import admin_client
from payment_pipeline.adapters.kafka_security import LOCAL_MECHANISM
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

JARS: Final = JarLock(
    jars.LOCKS / "kafka.jars.toml",
    # Kafka's own jars have no logging backend. Without one the broker ends without a message.
    endpoint="org.apache.kafka:kafka_2.13:4.3.0+org.slf4j:slf4j-simple:1.7.36",
)
JAVA_MIN: Final = 17
JARS_MIB: Final = 64
"""The jars in Maven's folder, and a margin."""
LOGGING: Final = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)
HEAP: Final = ("-Xms256m", "-Xmx768m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
SHORT_LIVED: Final = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
"""The options of a Java process that ends too soon for a second compiler to pay."""
MAIN: Final = "kafka.Kafka"
REQUEST_TIMEOUT_MS: Final = 2000
OPEN: Final = {"listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT"}
"""The listeners of a stack that is not secure."""
LOGIN: Final = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


def properties(settings: Settings) -> str:
    """`server.properties` of the node, which listens on loopback only."""
    broker, controller = settings.kafka_port, settings.kafka_controller_port
    listeners = f"CLIENTS://{settings.host}:{broker},CONTROLLER://{settings.host}:{controller}"
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{settings.host}:{controller}",
        "listeners": listeners,
        "advertised.listeners": f"CLIENTS://{settings.host}:{broker}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENTS",
        **(_secure(settings) if settings.secure else OPEN),
        "log.dirs": str(data_dir(settings)),
        "auto.create.topics.enable": "false",
        "num.partitions": settings.kafka_partitions,
        "log.retention.ms": settings.kafka_retention_ms,
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        # Four consumer groups need no fifty partitions, and each partition slows the start.
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # A killed broker can't register again before its old session ends: 9 s by default.
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 3000,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _secure(settings: Settings) -> dict[str, str]:
    """TLS on both ports. Clients log in; the controller's port asks for the broker's certificate.

    The users are in Kafka's own log, so this file has no password.
    """
    files = certificates.paths(settings, kafka_users.NAME)
    return {
        "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SSL",
        "listener.name.controller.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(files.server),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(files.authority),
        "sasl.enabled.mechanisms": LOCAL_MECHANISM,
        "sasl.mechanism.inter.broker.protocol": LOCAL_MECHANISM,
        f"listener.name.clients.{LOCAL_MECHANISM.lower()}.sasl.jaas.config": LOGIN,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": ";".join(f"User:{user}" for user in kafka_users.SUPER_USERS),
    }


def data_dir(settings: Settings) -> Path:
    """The folder of the broker's and the controller's log."""
    return var(settings) / "kafka"


def properties_path(settings: Settings) -> Path:
    """The generated `server.properties`."""
    return run_dir(settings) / "kafka.properties"


def command(settings: Settings) -> list[str]:
    """The broker's command line."""
    return [*_java(), *HEAP, *LOGGING, MAIN, str(properties_path(settings))]


def _java() -> list[str]:
    return [str(java.find(JAVA_MIN).executable), "-cp", ":".join(map(str, jars.paths(JARS.path)))]


def prepare(settings: Settings, work: Work) -> None:
    """Fetch the missing jars, write the properties, and format the log's folder once.

    Raises:
        UserError: a jar can't be fetched, or the folder can't be formatted.
    """
    jars.fetch(JARS.path, work)
    if settings.secure:
        certificates.ensure(settings, kafka_users.NAME)
    properties_path(settings).write_text(properties(settings))
    if not (data_dir(settings) / "meta.properties").exists():
        _format(settings)


def _format(settings: Settings) -> None:
    tool = [*_java(), *SHORT_LIVED, "kafka.tools.StorageTool", "format"]
    # A cluster id is 16 random bytes in this form. Kafka's own generator would start Java again.
    cluster = f"--cluster-id={secrets.token_urlsafe(16)}"
    argv = [*tool, cluster, "--config", str(properties_path(settings))]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise UserError(f"Kafka's storage tool failed: {done.stderr.strip()[-500:]}", exit_code=1)


async def ready(settings: Settings) -> bool:
    """Whether the broker describes its cluster. The users of a secure one are made when missing."""
    # The client logs at length about a port on which nothing listens yet.
    with socket.socket() as probe:
        if probe.connect_ex((settings.host, settings.kafka_port)):
            return False
    if await _answers(settings):
        return True
    if not settings.secure:
        return False
    try:
        await kafka_users.ensure(settings)
    except (KafkaError, OSError):
        return False
    return await _answers(settings)


async def _answers(settings: Settings) -> bool:
    client = admin_client(settings, request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await client.start()
        return bool((await client.describe_cluster())["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()


def downloads(_settings: Settings) -> Iterable[Download]:
    """The jars, if one of them is not fetched yet."""
    return [jars.download(JARS_MIB)] if jars.missing(JARS.path) else []


def checks(settings: Settings) -> Iterable[Check]:
    """Java, the jars, and the replicas that one broker can't hold."""
    yield program("Java", _java_found)
    yield program("Kafka", _jars_found)
    # Kafka would refuse the topics when half of the stack is up.
    if settings.kafka_replication_factor > 1:
        yield Check(
            "Replicas",
            ok=False,
            finding=f"{settings.kafka_replication_factor} replicas of each record are configured, "
            "and one broker runs here",
            remedy="leave PAYMENTS_KAFKA_REPLICATION_FACTOR at 1, or set "
            "PAYMENTS_KAFKA_BOOTSTRAP_SERVERS to a cluster",
        )


def _java_found() -> str:
    found = java.find(JAVA_MIN)
    return f"{found.version} from {found.origin}, {found.executable}"


def _jars_found() -> str:
    missing = jars.missing(JARS.path)
    return f"{len(jars.locked(JARS.path))} jars" + (
        f", {missing} of them will be fetched at the start" * bool(missing)
    )


COMPONENT: Final = Component(
    name="kafka",
    order=10,
    command=command,
    ready=ready,
    address=lambda settings: settings.kafka,
    ports=("kafka_port", "kafka_controller_port"),
    prepare=prepare,
    elsewhere=("kafka_bootstrap_servers",),
    generated_secrets=kafka_users.SECRETS,
    jars=(JARS,),
    memory_mib=672,
    disk_mib=1024,
    downloads=downloads,
    checks=checks,
    recognized=command_names(MAIN),
)
