"""A stack of `payments up --secure`: the whole way of an event, and what a stranger may not."""

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from google.protobuf.json_format import MessageToJson

from conftest import trained_models
from local_stack import certificates, kafka_users, process, stack, supervisor
from payment_operations import live_rotation
from payment_operations.stack_start import up
from payment_pipeline.adapters import kafka, temporal, temporal_payloads
from payment_pipeline.adapters.kafka_security import options, password_name
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.topics import DLQ_WEBHOOKS, NORMALIZED, UNMODELLED
from payment_pipeline.secret_length import SEVERAL
from payment_pipeline.settings import Settings, fingerprint
from support import commands, isolated, knocks

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

ANSWERED_S = 10
SEND_S = 20
ANOTHER_KEY = "another key that is long enough for a key"
RAW = "webhooks.stripe.charge"
REFUSALS = (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)


@pytest.fixture(scope="module")
def secure() -> Iterator[Settings]:
    with isolated.temporary(trained_models(), fraud_review_threshold=0.2) as settings:
        up(settings, secure=True)
        yield settings


@pytest.fixture(scope="module")
def audit(secure: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The audit of 600 events with faults."""
    ledger = tmp_path_factory.mktemp("secure") / "ledger.jsonl"
    arguments = ("simulate", "--events", "600", "--seed", "5", "--ledger", str(ledger))
    faults = ("--duplicates", "0.1", "--malformed", "0.03", "--bad-signature", "0.03")
    simulated = commands.call(secure, *arguments, *faults, "--json")
    assert simulated.returncode == 0, simulated.stderr
    return commands.audit(secure, ledger)


def test_every_event_arrives_and_the_audit_is_clean(audit: dict[str, Any]) -> None:
    assert audit["ok"], audit
    assert audit["stages"]["acknowledged"]["events"] > 400
    assert audit["stages"]["bronze"]["events"] > 300


def test_the_worker_is_admitted_by_inference(audit: dict[str, Any], secure: Settings) -> None:
    assert audit["ok"]
    with psycopg.connect(secure.dsn) as connection:
        found = connection.execute(
            "SELECT inference_status, count(*) FROM payment_events GROUP BY 1"
        ).fetchall()
    counts = {str(status): count for status, count in found}
    assert counts.get("scored", 0) > 0
    assert "unavailable" not in counts


def test_the_ledger_s_user_may_do_all_that_an_audit_does(
    audit: dict[str, Any], secure: Settings
) -> None:
    """Dagster's hourly check is an audit of this user."""
    assert audit["ok"]
    again = commands.call(as_user(secure, "ledger"), "audit", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["stages"]["bronze"] == audit["stages"]["bronze"]


async def test_histories_are_encrypted_and_a_review_is_answered(
    audit: dict[str, Any], secure: Settings
) -> None:
    assert audit["ok"]
    listed = commands.call(secure, "review", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    review, *_ = json.loads(listed.stdout)
    client = await temporal.connect(secure)
    handle = client.get_workflow_handle(review["workflow_id"])
    stored = [MessageToJson(event) async for event in handle.fetch_history_events()]
    started = stored[0]
    assert '"fraudScore"' not in started
    assert "YmluYXJ5L2VuY3J5cHRlZA==" in started, "binary/encrypted, in base64"
    answered = commands.call(secure, "review", "approve", review["payment_id"], "--by", "jane")
    assert answered.returncode == 0, answered.stderr
    assert "approved by jane, recorded" in " ".join(answered.stdout.split())
    other = {**secure.model_dump(), "temporal_payload_keys": ANOTHER_KEY}
    stranger = await temporal.connect(Settings.model_validate(other))
    with pytest.raises(UserError, match="has no such key"):
        await stranger.get_workflow_handle(handle.id).result()


async def test_kafka_admits_nobody_without_a_password_and_tls(secure: Settings) -> None:
    assert await knocks.knock(secure.host, secure.kafka_port) == set()
    assert await knocks.knock(secure.host, secure.kafka_controller_port) == set()
    right = options(secure)
    for wrong in (
        {"security_protocol": "PLAINTEXT"},
        {"security_protocol": "SSL"},
        {"security_protocol": "SASL_PLAINTEXT"},
        {"sasl_plain_password": lambda: "a wrong password of enough length"},
        {"sasl_plain_username": "gateway"},
        {"sasl_plain_username": "nobody"},
        {"sasl_mechanism": "PLAIN"},
        {"ssl_context": ssl.create_default_context()},
    ):
        client = AIOKafkaConsumer(**{**right, **wrong}, request_timeout_ms=ANSWERED_S * 1000)
        with pytest.raises((KafkaError, OSError, TimeoutError)):
            async with asyncio.timeout(ANSWERED_S):
                await client.start()
        await client.stop()


async def test_the_settings_of_a_kafka_elsewhere_reach_it_too(
    secure: Settings, tmp_path: Path
) -> None:
    elsewhere = {
        **secure.model_dump(),
        "var": tmp_path,
        "kafka_bootstrap_servers": secure.kafka,
        "kafka_security_protocol": "SASL_SSL",
        "kafka_user": "payments",
        "kafka_password": secure.secret(password_name("payments")),
        "kafka_authorities": secure.authority_of("kafka"),
    }
    async with kafka.reader(Settings.model_validate(elsewhere)) as consumer:
        assert NORMALIZED in await consumer.topics()
    other = certificates.ensure(Settings(var=tmp_path), "other").authority
    wrong = ({"kafka_authorities": other}, {"kafka_password": "a wrong password of this user"})
    for each in wrong:
        with pytest.raises(UserError, match="is down, or refuses SASL_SSL of the user payments"):
            async with kafka.reader(Settings.model_validate({**elsewhere, **each})):
                pass


async def test_the_controller_admits_only_the_broker_s_certificate(
    secure: Settings, tmp_path: Path
) -> None:
    other = certificates.ensure(secure.model_copy(update={"var": tmp_path}), kafka_users.NAME)
    for shown in (None, other.server):
        trusting = ssl.create_default_context(cafile=str(secure.authority_of("kafka")))
        if shown:
            trusting.load_cert_chain(shown)
        with pytest.raises((KafkaError, OSError, AssertionError)):
            await create_conn(
                secure.host,
                secure.kafka_controller_port,
                security_protocol="SSL",
                ssl_context=trusting,
                request_timeout_ms=2000,
            )


def as_user(secure: Settings, user: str) -> Settings:
    return secure.model_copy(update={"kafka_user": user})


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("gateway", NORMALIZED),
        ("gateway", UNMODELLED),
        ("normalizer", DLQ_WEBHOOKS),
        ("dispatcher", NORMALIZED),
        ("worker", NORMALIZED),
        ("ledger", DLQ_WEBHOOKS),
    ],
)
async def test_a_service_may_not_write_where_it_has_no_business(
    secure: Settings, user: str, topic: str
) -> None:
    async def send() -> None:
        await producer.start()
        await producer.send_and_wait(topic, b"forged", partition=0)

    producer = kafka.producer(as_user(secure, user))
    with pytest.raises(REFUSALS):
        await asyncio.wait_for(send(), SEND_S)
    await producer.stop()


@pytest.mark.parametrize(("user", "topic"), [("gateway", NORMALIZED), ("worker", RAW)])
async def test_a_service_may_not_read_what_it_does_not_need(
    secure: Settings, user: str, topic: str
) -> None:
    async def read() -> None:
        await consumer.start()
        await consumer.getone()

    consumer = kafka.consumer(as_user(secure, user), topic, group=None)
    with pytest.raises(REFUSALS):
        await asyncio.wait_for(read(), SEND_S)
    await consumer.stop()


def test_no_secret_reaches_a_log_a_generated_file_or_an_argument(
    audit: dict[str, Any], secure: Settings
) -> None:
    assert audit["ok"]
    passwords = [
        each
        for path in secure.secrets_dir.iterdir()
        if path.suffix != ".pem"
        for each in path.read_text().split()
    ]
    assert len(passwords) > len(kafka_users.SECRETS)
    written = [*(secure.var / "log").iterdir(), *(secure.var / "run").iterdir()]
    texts = {str(path): path.read_text(errors="replace") for path in written if path.is_file()}
    texts |= {f"pid {each.pid}": " ".join(each.cmdline()) for each in process.members(secure)}
    assert [name for name, text in texts.items() if any(each in text for each in passwords)] == []


def simulated(secure: Settings, ledger: Path, seed: int, rate: int) -> subprocess.Popen[str]:
    arguments = ("--events", "300", "--seed", str(seed), "--rate", str(rate))
    return commands.start(secure, "simulate", *arguments, "--ledger", str(ledger))


async def test_secrets_rotate_under_traffic_and_the_old_ones_are_refused(
    audit: dict[str, Any], secure: Settings, tmp_path: Path
) -> None:
    assert audit["ok"]
    old = {user: login(as_user(secure, user)) for user in kafka_users.RIGHTS}
    old_token = secure.secrets_of("inference_token")[0]
    old_key = secure.secrets_of(temporal_payloads.NAME)[0]
    pids = {name: state["pid"] for name, state in supervisor.states(secure).items()}
    ledger = tmp_path / "ledger.jsonl"
    traffic = simulated(secure, ledger, 6, rate=10)
    await until_answered(ledger)
    for name in kafka_users.SECRETS:
        await asyncio.to_thread(live_rotation.rotate_kafka_password, secure, name)
    for name in SEVERAL:
        live_rotation.add_in_front(secure, name)
    assert live_rotation.retire_older(secure, "inference_token", force=False)
    assert traffic.poll() is None, "the traffic lasted through all rotations"
    _, said = traffic.communicate(timeout=commands.CALL_S)
    assert traffic.returncode == 0, said
    answers = [json.loads(line)["answer"] for line in ledger.read_text().splitlines()]
    assert set(answers) == {200}, "nothing was refused"
    assert commands.audit(secure, ledger)["ok"]
    assert {name: state["pid"] for name, state in supervisor.states(secure).items()} == pids

    for user, before in old.items():
        stranger = AIOKafkaProducer(**before)
        with pytest.raises(KafkaError):
            await stranger.start()
        await stranger.stop()
        async with kafka.reader(as_user(secure, user)) as consumer:
            await consumer.topics()
    async with aiohttp.ClientSession() as session:
        refused = {"Authorization": f"Bearer {old_token}"}
        async with session.post(f"{secure.inference}/v1/score", headers=refused) as answer:
            assert answer.status == 401
    assert secure.secrets_of(temporal_payloads.NAME)[1:] == (old_key,)
    assert await newest_payload_key(secure) == fingerprint(
        secure.secrets_of(temporal_payloads.NAME)[0]
    )
    with psycopg.connect(secure.dsn) as connection:
        statuses = connection.execute("SELECT DISTINCT inference_status FROM payment_events")
        assert ("unavailable",) not in statuses.fetchall()


async def test_running_services_log_in_again_with_rotated_passwords(
    audit: dict[str, Any], secure: Settings, tmp_path: Path
) -> None:
    assert audit["ok"]
    for name in kafka_users.SECRETS:
        rotated = await asyncio.to_thread(commands.call, secure, "secrets", "rotate", name)
        assert rotated.returncode == 0, rotated.stderr
    needed = commands.call(secure, "secrets", "retire", temporal_payloads.NAME)
    assert needed.returncode == 1
    assert "workflows from before the newest key" in " ".join(needed.stderr.split())
    gateway = supervisor.states(secure)["gateway"]["pid"]
    stack.stop(secure, ["kafka"])
    up(secure, only=("kafka",))
    ledger = tmp_path / "ledger.jsonl"
    traffic = simulated(secure, ledger, 7, rate=0)
    _, said = traffic.communicate(timeout=commands.CALL_S)
    assert traffic.returncode == 0, said
    assert commands.audit(secure, ledger)["ok"]
    assert supervisor.states(secure)["gateway"]["pid"] == gateway


async def until_answered(ledger: Path) -> None:
    """Wait until the gateway has answered some events."""
    async with asyncio.timeout(commands.CALL_S):
        while not ledger.exists() or not ledger.read_text():
            await asyncio.sleep(0.1)


def login(settings: Settings) -> dict[str, Any]:
    """The options of a client that keeps the present password."""
    found = options(settings)
    password = found["sasl_plain_password"]()
    return {**found, "sasl_plain_password": lambda: password}


async def newest_payload_key(secure: Settings) -> str:
    """The id of the key of the newest workflow's argument."""
    client = await temporal.connect(secure)
    started = [each async for each in client.list_workflows()]
    newest = max(started, key=lambda each: each.start_time)
    handle = client.get_workflow_handle(newest.id, run_id=newest.run_id)
    first = await anext(aiter(handle.fetch_history_events()))
    (argument, *_) = first.workflow_execution_started_event_attributes.input.payloads
    return argument.metadata[temporal_payloads.KEY_ID].decode()


async def test_a_changed_password_takes_effect_at_the_next_start(secure: Settings) -> None:
    file = secure.secrets_dir / password_name("ledger")
    old = as_user(secure, "ledger")
    before = login(old)
    file.write_text("the next password of this user\n")
    up(secure, only=("kafka",))
    async with kafka.reader(old) as consumer:
        assert DLQ_WEBHOOKS in await consumer.topics()
    client = AIOKafkaProducer(**before)
    with pytest.raises(KafkaError):
        await client.start()
    await client.stop()


def test_a_stack_that_runs_is_not_made_secure(stack_settings_of_its_own: Settings) -> None:
    running = stack_settings_of_its_own
    up(running, only=("inference",))
    with pytest.raises(UserError, match="Run `payments down` first"):
        up(running, only=("inference",), secure=True)
    assert not running.secure
    stack.down(running)


@pytest.fixture
def stack_settings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setattr(isolated, "secure", False)
    with isolated.temporary(trained_models()) as settings:
        yield settings


def test_the_keys_of_payloads_are_not_optional(secure: Settings, tmp_path: Path) -> None:
    shutil.copy(secure.var / "secure", tmp_path / "secure")
    with pytest.raises(UserError, match="temporal_payload_keys is missing"):
        temporal_payloads.codec(secure.model_copy(update={"var": tmp_path}))
