"""Log lines, traceparents, probes, and how a stage's process starts and stops."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TypeAlias

import aiohttp
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from conftest import free_ports
from payment_pipeline import telemetry
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry.silent_tracer import Tracer
from support.hostile_texts import HOSTILE, HOSTILE_IDS

Lines: TypeAlias = Callable[[], list[dict[str, object]]]

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def configured(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], Lines]]:
    """Return a function to call in the test: pytest gives each phase another standard error."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()

    def configure() -> Lines:
        telemetry.configure("tested", Settings())
        return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield configure
    structlog.configure(**before)
    root.handlers[:], root.level = handlers, level


def test_a_log_line_is_json_with_its_fields(configured: Callable[[], Lines]) -> None:
    lines = configured()
    structlog.get_logger().info("dead_letter", event_id="evt_1", trace_id="4bf9")
    (line,) = lines()
    assert line["event"] == "dead_letter"
    assert line["service"] == "tested"
    assert line["level"] == "info"
    assert (line["event_id"], line["trace_id"]) == ("evt_1", "4bf9")
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_a_log_line_is_printable_ascii(
    text: str, configured: Callable[[], Lines], capsys: pytest.CaptureFixture[str]
) -> None:
    configured()
    structlog.get_logger().info("dead_letter", event_id=text)
    logging.getLogger("aiokafka").warning("node %s is away", text)
    lines = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert all(line.isascii() and line.isprintable() for line in lines)
    first, second = map(json.loads, lines)
    assert (first["event_id"], second["event"]) == (text, f"node {text} is away")


def test_a_line_without_an_event_has_the_trace_of_the_current_span(
    configured: Callable[[], Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = configured()
    monkeypatch.setattr(Tracer, "current_traceparent", lambda _: PARENT)
    structlog.get_logger().info("range_slow")
    structlog.get_logger().info("dead_letter", event_id="evt_1", trace_id="4bf9")
    range_slow, dead_letter = lines()
    assert range_slow["trace_id"] == telemetry.trace_id(PARENT)
    assert dead_letter["trace_id"] == "4bf9"


def test_libraries_log_as_json_from_warning_on(configured: Callable[[], Lines]) -> None:
    lines = configured()
    logging.getLogger("aiokafka.producer").debug("Sending (key=%s)", "canary")
    logging.getLogger("aiokafka.producer").info("canary")
    logging.getLogger("aiokafka.producer").warning("node %s is away", 1)
    (line,) = lines()
    assert (line["event"], line["logger"]) == ("node 1 is away", "aiokafka.producer")


def test_a_repeated_message_of_a_library_is_logged_once(
    configured: Callable[[], Lines],
) -> None:
    lines = configured()
    for node in range(100):
        logging.getLogger("aiokafka").error("Unable to connect to node %s", node)
    logging.getLogger("aiokafka").error("Something else")
    assert [line["event"] for line in lines()] == ["Unable to connect to node 0", "Something else"]


def test_an_exception_is_logged_with_its_frames_and_without_its_input(
    configured: Callable[[], Lines],
) -> None:
    lines = configured()

    def choke(card_number: str) -> int:
        return int(card_number)

    def disconnect() -> None:
        raise OSError("no route to host\nDETAIL: canary")

    try:
        choke("4242-canary")
    except ValueError:
        structlog.get_logger().exception("defect")
    try:
        disconnect()
    except OSError:
        logging.getLogger("ours").exception("unreachable")
    defect, unreachable = lines()
    assert defect["error"] == "ValueError"
    assert "choke" in str(defect["frames"])
    assert unreachable["error_message"] == "no route to host"
    assert "canary" not in json.dumps([defect, unreachable])


def test_a_value_that_json_cannot_hold_is_logged_all_the_same(
    configured: Callable[[], Lines],
) -> None:
    lines = configured()
    structlog.get_logger().info("odd", text="\ud800", number=2**70, other={1: Settings})
    (line,) = lines()
    assert line["event"] == "odd"


def test_a_child_has_the_trace_of_its_parent() -> None:
    child = telemetry.child_of(PARENT)
    assert child[:36] == PARENT[:36]
    assert child[52:] == "-01"
    assert child != PARENT
    assert telemetry.trace_id(child) == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        PARENT.upper(),
        PARENT + "\n",
        PARENT + "-extra",
        "ff" + PARENT[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
    ],
)
def test_an_invalid_traceparent_starts_a_new_trace(given: str | None) -> None:
    started = telemetry.child_of(given)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", started)
    assert given is None or telemetry.trace_id(given) is None


@given(st.text())
def test_a_child_is_always_valid(parent: str) -> None:
    assert telemetry.trace_id(telemetry.child_of(parent)) is not None


async def test_the_probes_answer() -> None:
    (port,) = free_ports(1)
    up = False
    base = f"http://127.0.0.1:{port}"
    async with (
        telemetry.serve_probes(port, "127.0.0.1", lambda: up),
        aiohttp.ClientSession() as session,
    ):

        async def status(path: str) -> int:
            async with session.get(base + path) as answer:
                return answer.status

        assert await status("/livez") == 200
        assert await status("/readyz") == 503
        up = True
        assert await status("/readyz") == 200
        async with session.get(f"{base}/metrics") as answer:
            assert "python_info" in await answer.text()
        with pytest.raises(UserError, match=f"Port {port} .* can't be used"):
            async with telemetry.serve_probes(port, "127.0.0.1", lambda: True):
                pass


STAGE = """
import asyncio
from payment_pipeline import telemetry
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

async def main():
    {body}

telemetry.run(main)
"""


def start(body: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STAGE.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_after_a_signal_a_stage_cleans_up_and_exits_with_0(number: signal.Signals) -> None:
    body = """
    try:
        print("up", flush=True)
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0)
        print("cleaned")
    """
    with start(body) as stage:
        assert stage.stdout is not None
        assert stage.stdout.readline() == "up\n"
        stage.send_signal(number)
        out, err = stage.communicate(timeout=20)
    assert (stage.returncode, out, err) == (0, "cleaned\n", "")


def test_a_user_error_is_one_sentence() -> None:
    with start('raise UserError("Do it like this.", 3)') as stage:
        out, err = stage.communicate(timeout=20)
    assert (stage.returncode, out, err) == (3, "", "payments: Do it like this.\n")


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("PAYMENTS_GATEWAY_PORT", "PAYMENTS_GATEWAY_PORT"),
        ("OTEL_TRACES_SAMPLER_ARG", "PAYMENTS_TRACE_RATIO or OTEL_TRACES_SAMPLER_ARG"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, named: str) -> None:
    with start("Settings()", **{variable: "eighty"}) as stage:
        _, err = stage.communicate(timeout=20)
    assert stage.returncode == 2
    assert err.startswith(f"payments: {named}: ")
    assert err.count("\n") == 1


def test_a_defect_is_a_traceback() -> None:
    with start("asyncio.current_task().cancel(); await asyncio.sleep(1)") as stage:
        _, err = stage.communicate(timeout=20)
    assert stage.returncode == 1
    assert "CancelledError" in err
