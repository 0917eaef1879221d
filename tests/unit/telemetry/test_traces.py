"""Do spans keep to their trace and their sampling, cost nothing when off, and hold up no stop?"""

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
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is open."""


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


def test_off_unless_a_collector_is_named_and_then_nothing_is_even_imported() -> None:
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


def test_off_a_request_has_a_traceparent_to_hand_on_all_the_same() -> None:
    handed_on = serve(traces.tracer(), SAMPLED)
    assert trace_id(handed_on) == "a" * 32
    assert handed_on != SAMPLED
    assert traces.tracer().here() is None
    assert traces.tracer().otel() is None


def test_a_span_is_its_parents_child_and_begins_when_the_request_did(sent: Sent) -> None:
    tracer = configure()
    began_s = time.perf_counter() - 1.5
    with tracer.serve("POST /x", SAMPLED, began_s) as span:
        span.tell({"payments.answer": "accepted"})
        handed_on = span.traceparent
    traces.close()
    (told,) = sent.spans
    assert told.parent is not None
    assert told.context is not None
    assert f"{told.parent.span_id:016x}" == "b" * 16
    assert handed_on == f"00-{'a' * 32}-{told.context.span_id:016x}-01"
    assert ((told.end_time or 0) - (told.start_time or 0)) / 1e9 == pytest.approx(1.5, abs=0.2)


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (0.5, 50, 150), (1.0, 200, 200)])
def test_a_new_trace_is_sampled_by_the_ratio(
    sent: Sent, ratio: float, least: int, most: int
) -> None:
    tracer = configure(ratio)
    handed_on = [serve(tracer, None) for _ in range(200)]
    traces.close()
    assert least <= len(sent.spans) <= most
    assert sum(map(is_sampled, handed_on)) == len(sent.spans)


@pytest.mark.parametrize(("parent", "kept"), [(SAMPLED, 1), (NOT_SAMPLED, 0)])
def test_a_given_trace_goes_on_as_its_caller_decided(sent: Sent, parent: str, kept: int) -> None:
    tracer = configure(ratio=1.0 - kept)
    serve(tracer, parent)
    tracer.record("normalize", parent, time.time_ns(), {})
    traces.close()
    assert len(sent.spans) == 2 * kept


def test_what_a_library_begins_is_sampled_always_and_its_children_too(sent: Sent) -> None:
    library = configure(0.0).otel()
    assert library is not None
    with library.start_as_current_span("StartWorkflow"):
        around = traces.tracer().here()
    assert is_sampled(around)
    serve(traces.tracer(), around)
    traces.close()
    assert [span.name for span in sent.spans] == ["StartWorkflow", "POST /x"]


def test_a_request_is_its_callers_child_and_not_the_tasks_that_serves_it(sent: Sent) -> None:
    tracer = configure()
    library = tracer.otel()
    assert library is not None
    with library.start_as_current_span("around"):
        serve(tracer, None)
    traces.close()
    assert [span.parent for span in sent.spans] == [None, None]


@pytest.mark.parametrize("given", [None, "", "00-x", "\ud800", SAMPLED.upper()])
def test_what_is_no_traceparent_is_no_parent_and_gets_no_span(
    sent: Sent, given: str | None
) -> None:
    tracer = configure()
    tracer.record("normalize", given, time.time_ns(), {})
    assert trace_id(serve(tracer, given)) is not None
    traces.close()
    (told,) = sent.spans
    assert told.parent is None


def test_a_defect_is_told_by_its_class_and_without_its_words(sent: Sent) -> None:
    tracer = configure()
    with (
        pytest.raises(ValueError, match="canary"),
        tracer.serve("POST /x", None, time.perf_counter()),
    ):
        raise ValueError("canary@example.com")
    traces.close()
    (told,) = sent.spans
    assert "canary" not in told.to_json()
    assert told.attributes == {"error.type": "ValueError"}
    assert not told.status.is_ok


def test_a_collector_that_is_away_holds_up_no_stop(caplog: pytest.LogCaptureFixture) -> None:
    (port,) = free_ports(1)
    traces.configure("tested", Settings(otlp_endpoint=f"http://127.0.0.1:{port}"))
    serve(traces.tracer(), None)
    began_s = time.perf_counter()
    with caplog.at_level(logging.CRITICAL):
        traces.close()
    assert time.perf_counter() - began_s < otlp.CLOSE_S_MAX + 2
