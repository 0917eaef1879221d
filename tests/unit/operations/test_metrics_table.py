"""The names and labels of all metrics, and the table in the docs."""

import re

import pytest

from payment_operations import metrics_table
from payment_operations.metrics_table import Metric, metrics
from support.repository import ROOT

SOURCES = (
    ROOT / "payment-pipeline" / "src" / "payment_pipeline",
    ROOT / "orchestration-dagster" / "src" / "orchestration_dagster",
)
ALL = [each for found in metrics().values() for each in found]
STAGES = {"gateway", "normalizer", "dispatcher", "worker", "inference", "lake", "build"}
ACTIVITIES = "activity_duration_seconds"
TOLD_APART_BY_PEOPLE = {"id", "event_id", "payment_id", "customer_id", "trace_id", "path", "url"}


def test_the_table_in_the_docs_is_up_to_date() -> None:
    metrics_table.check(ROOT / metrics_table.PATH)


def test_a_name_starts_with_its_stage_and_is_unique() -> None:
    names = [each.name for each in ALL]
    assert len(names) == len(set(names)) > 40
    for name in names:
        assert re.fullmatch(r"payments_[a-z]+(_[a-z]+)+", name), name
        assert name.split("_")[1] in STAGES, name


def test_counters_end_in_total_and_durations_are_seconds() -> None:
    for each in ALL:
        assert each.name.endswith("_total") == (each.type == "counter"), each.name
        if each.type == "histogram":
            assert each.name.endswith("_duration_seconds"), each.name
        assert not re.search(r"_(ms|us|minutes|kb|mib|latency)\b", each.name), each.name


@pytest.mark.parametrize(
    ("service", "rate", "errors", "duration"),
    [
        ("gateway", "requests_total", "requests_total{status}", "request_duration_seconds"),
        ("normalizer", "records_total", "produce_errors_total", "batch_duration_seconds"),
        ("dispatcher", "ranges_started_total", "errors_total", "start_duration_seconds"),
        (
            "worker",
            "events_total",
            "activity_duration_seconds{result}",
            "activity_duration_seconds",
        ),
        ("inference", "requests_total", "requests_total{status}", "request_duration_seconds"),
    ],
)
def test_each_stage_has_its_rate_errors_and_duration(
    service: str, rate: str, errors: str, duration: str
) -> None:
    found = {each.name.removeprefix(f"payments_{service}_"): each for each in metrics()[service]}
    assert found[rate].type == "counter"
    assert found[duration].type == "histogram"
    name, _, label = errors.rstrip("}").partition("{")
    assert not label or label in found[name].labels


def test_no_label_is_one_a_person_or_an_event_could_fill() -> None:
    assert not {label for each in ALL for label in each.labels} & TOLD_APART_BY_PEOPLE


def test_every_metric_is_made_in_a_module_that_the_table_knows() -> None:
    makers = {
        str(path.relative_to(source.parent).with_suffix("")).replace("/", ".")
        for source in SOURCES
        for path in source.rglob("*.py")
        if "from prometheus_client" in (text := path.read_text())
        and re.search(r"= (Counter|Gauge|Histogram)\(", text)
    }
    assert makers == set(metrics_table.MODULES.values())


def test_a_histogram_is_queried_by_its_parts() -> None:
    histogram = Metric("payments_x_duration_seconds", "histogram", (), "")
    assert histogram.series[0] == "payments_x_duration_seconds_bucket"
