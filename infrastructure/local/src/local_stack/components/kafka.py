"""Kafka: one KRaft node, its properties, its command line and its readiness."""

import secrets
import socket
import subprocess
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from local_stack import jars, java
from local_stack.component import MIB, Check, Component, Download, command_names, program
from local_stack.files import run_dir, var
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)
HEAP = ("-Xms256m", "-Xmx768m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
SHORT_LIVED = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
"""Of a Java that has ended before a second compiler would pay."""
REQUEST_TIMEOUT_MS = 2000
MAIN = "kafka.Kafka"
JARS_BYTES: Final = 64 * MIB
"""Size of the jars in Maven's folder, and a little more."""


def properties(settings: Settings) -> str:
    """`server.properties` of a node that is both broker and controller, on loopback alone."""
    broker, controller = settings.kafka_port, settings.kafka_controller_port
    listeners = f"PLAINTEXT://{settings.host}:{broker},CONTROLLER://{settings.host}:{controller}"
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{settings.host}:{controller}",
        "listeners": listeners,
        "advertised.listeners": f"PLAINTEXT://{settings.host}:{broker}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data_dir(settings)),
        "auto.create.topics.enable": "false",
        "num.partitions": settings.kafka_partitions,
        "log.retention.ms": settings.kafka_retention_ms,
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        # A group of four stages needs no fifty partitions, and each costs a start some time.
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # A killed broker may not register again before its old session ends: 9 s by default.
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 3000,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def data_dir(settings: Settings) -> Path:
    """The broker's and the controller's log."""
    return var(settings) / "kafka"


def properties_path(settings: Settings) -> Path:
    """The generated `server.properties`."""
    return run_dir(settings) / "kafka.properties"


def command(settings: Settings) -> list[str]:
    """The broker's command line; `prepare` fetched its jars."""
    return [*_java(), *HEAP, *LOGGING, MAIN, str(properties_path(settings))]


def _java() -> list[str]:
    return [str(java.find().executable), "-cp", ":".join(map(str, jars.class_path()))]


def prepare(settings: Settings, on_bytes: jars.OnBytes) -> None:
    """Fetch the jars that are missing, write the properties, and format the log's folder once.

    Raises:
        UserError: the folder can't be formatted; the sentence holds the tool's last line.
    """
    jars.fetch(on_bytes)
    properties_path(settings).write_text(properties(settings))
    if (data_dir(settings) / "meta.properties").exists():
        return
    _format(settings)


def _format(settings: Settings) -> None:
    tool = [*_java(), *SHORT_LIVED, "kafka.tools.StorageTool", "format"]
    # Any sixteen bytes, as Kafka writes them; its own tool would take another start of Java.
    cluster = f"--cluster-id={secrets.token_urlsafe(16)}"
    argv = [*tool, cluster, "--config", str(properties_path(settings))]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise UserError(f"Kafka's storage tool failed: {done.stderr.strip()[-500:]}", exit_code=1)


async def ready(settings: Settings) -> bool:
    """Whether the broker answers who leads the cluster."""
    # The client complains at length about a port that nobody listens on yet.
    with socket.socket() as probe:
        if probe.connect_ex((settings.host, settings.kafka_port)):
            return False
    client = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka, request_timeout_ms=REQUEST_TIMEOUT_MS
    )
    try:
        await client.start()
        return bool((await client.describe_cluster())["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()


def _downloads(_settings: Settings) -> tuple[Download, ...]:
    if not jars.missing():
        return ()
    return (Download("Jars", jars.repository(), JARS_BYTES, "M2_REPO"),)


def _checks(settings: Settings) -> tuple[Check, ...]:
    programs = (program("Java", _found_java), program("Kafka", _found_jars))
    wanted = settings.kafka_replication_factor
    if wanted == 1:
        return programs
    # Kafka would refuse the topics when half of the stack is up.
    replicas = Check(
        "Replicas",
        ok=False,
        finding=f"{wanted} replicas of each record are wanted, and one broker runs here",
        remedy="leave PAYMENTS_KAFKA_REPLICATION_FACTOR at 1, or set "
        "PAYMENTS_KAFKA_BOOTSTRAP_SERVERS to a cluster",
    )
    return (*programs, replicas)


def _found_java() -> str:
    found = java.find()
    return f"{found.version} from {found.origin}, {found.executable}"


def _found_jars() -> str:
    missing = jars.missing()
    return f"{len(jars.locked())} jars" + (
        f", {missing} of them to be fetched at the start" * bool(missing)
    )


COMPONENT: Final = Component(
    name="kafka",
    order=10,
    command=command,
    ready=ready,
    address=lambda settings: settings.kafka,
    ports=("kafka_port", "kafka_controller_port"),
    is_store=True,
    prepare=prepare,
    elsewhere="kafka_bootstrap_servers",
    memory_mib=lambda _settings: 768,
    disk_mib=1024,
    downloads=_downloads,
    checks=_checks,
    recognized=command_names(MAIN),
)
