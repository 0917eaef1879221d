"""Spans and their sampling, a process without tracing, and a stop without a collector."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from conftest import free_ports
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry import otlp, silent_tracer, traces
from payment_pipeline.telemetry.traceparent import is_sampled, trace_id

SAMPLED = f"00-{'a' * 32}-{'b' * 16}-01"
NOT_SAMPLED = f"00-{'a' * 32}-{'b' * 16}-00"


class Sent(SpanExporter):
    """An exporter that keeps its spans."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Do nothing."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    kept = Sent()
    monkeypatch.setattr(otlp, "OTLPSpanExporter", lambda **_: kept)
    return kept


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    traces.close()


def configure(ratio: float = 1.0) -> silent_tracer.Tracer:
    traces.configure("tested", Settings(otlp_endpoint="http://collector", trace_ratio=ratio))
    return traces.tracer()


def serve(tracer: silent_tracer.Tracer, traceparent: str | None) -> str:
    with tracer.serve("POST /x", traceparent, time.perf_counter()) as span:
        return span.traceparent


def test_without_a_collector_tracing_is_off_and_the_sdk_is_not_imported() -> None:
    code = """
import sys
import payment_pipeline.gateway.server
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry import silent_tracer, traces
traces.configure("gateway", Settings(otlp_endpoint=""))
assert not traces.tracer().recording
sys.exit("opentelemetry.sdk" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0


def test_without_tracing_a_request_still_has_a_traceparent_to_pass_on() -> None:
    handed_on = serve(traces.tracer(), SAMPLED)
    assert trace_id(handed_on) == "a" * 32
    assert handed_on != SAMPLED
    assert traces.tracer().current_traceparent() is None
    assert traces.tracer().otel() is None


def test_a_span_has_its_parent_and_starts_with_the_request(sent: Sent) -> None:
    tracer = configure()
    began_s = time.perf_counter() - 1.5
    with tracer.serve("POST /x", SAMPLED, began_s) as span:
        span.set_attributes({"payments.answer": "accepted"})
        handed_on = span.traceparent
    traces.close()
    (recorded,) = sent.spans
    assert recorded.parent is not None
    assert recorded.context is not None
    assert f"{recorded.parent.span_id:016x}" == "b" * 16
    assert handed_on == f"00-{'a' * 32}-{recorded.context.span_id:016x}-01"
    assert ((recorded.end_time or 0) - (recorded.start_time or 0)) / 1e9 == pytest.approx(
        1.5, abs=0.2
    )


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (0.5, 50, 150), (1.0, 200, 200)])
def test_new_traces_are_sampled_by_the_ratio(
    sent: Sent, ratio: float, least: int, most: int
) -> None:
    tracer = configure(ratio)
    handed_on = [serve(tracer, None) for _ in range(200)]
    traces.close()
    assert least <= len(sent.spans) <= most
    assert sum(map(is_sampled, handed_on)) == len(sent.spans)


@pytest.mark.parametrize(("parent", "kept"), [(SAMPLED, 1), (NOT_SAMPLED, 0)])
def test_an_existing_trace_keeps_its_sampling(sent: Sent, parent: str, kept: int) -> None:
    tracer = configure(ratio=1.0 - kept)
    serve(tracer, parent)
    tracer.record("normalize", parent, time.time_ns(), {})
    traces.close()
    assert len(sent.spans) == 2 * kept


def test_a_trace_that_a_library_starts_is_always_sampled(sent: Sent) -> None:
    library = configure(0.0).otel()
    assert library is not None
    with library.start_as_current_span("StartWorkflow"):
        around = traces.tracer().current_traceparent()
    assert is_sampled(around)
    serve(traces.tracer(), around)
    traces.close()
    assert [span.name for span in sent.spans] == ["StartWorkflow", "POST /x"]


def test_the_span_of_a_request_is_no_child_of_the_current_task(sent: Sent) -> None:
    tracer = configure()
    library = tracer.otel()
    assert library is not None
    with library.start_as_current_span("around"):
        serve(tracer, None)
    traces.close()
    assert [span.parent for span in sent.spans] == [None, None]


@pytest.mark.parametrize("given", [None, "", "00-x", "\ud800", SAMPLED.upper()])
def test_an_invalid_traceparent_is_no_parent_and_gets_no_event_span(
    sent: Sent, given: str | None
) -> None:
    tracer = configure()
    tracer.record("normalize", given, time.time_ns(), {})
    assert trace_id(serve(tracer, given)) is not None
    traces.close()
    (recorded,) = sent.spans
    assert recorded.parent is None


def test_an_exception_is_recorded_by_class_and_without_its_text(sent: Sent) -> None:
    tracer = configure()
    with (
        pytest.raises(ValueError, match="canary"),
        tracer.serve("POST /x", None, time.perf_counter()),
    ):
        raise ValueError("canary@example.com")
    traces.close()
    (recorded,) = sent.spans
    assert "canary" not in recorded.to_json()
    assert recorded.attributes == {"error.type": "ValueError"}
    assert not recorded.status.is_ok


def test_a_collector_that_is_down_does_not_delay_a_stop(caplog: pytest.LogCaptureFixture) -> None:
    (port,) = free_ports(1)
    traces.configure("tested", Settings(otlp_endpoint=f"http://127.0.0.1:{port}"))
    serve(traces.tracer(), None)
    began_s = time.perf_counter()
    with caplog.at_level(logging.CRITICAL):
        traces.close()
    assert time.perf_counter() - began_s < otlp.CLOSE_S_MAX + 2
