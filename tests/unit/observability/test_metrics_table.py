"""Is every metric named as people expect, once, with few labels, and in the table of the docs?"""

import re

from payment_pipeline import metrics_table
from payment_pipeline.metrics_table import Metric, metrics
from payment_pipeline.settings import REPOSITORY

SOURCES = (
    REPOSITORY / "payment-pipeline" / "src" / "payment_pipeline",
    REPOSITORY / "orchestration-dagster" / "src" / "orchestration_dagster",
)
ALL = [each for found in metrics().values() for each in found]
STAGES = {"gateway", "normalizer", "dispatcher", "worker", "inference", "lake", "build"}
TOLD_APART_BY_PEOPLE = {"id", "event_id", "payment_id", "customer_id", "trace_id", "path", "url"}


def test_the_table_of_the_docs_is_the_codes() -> None:
    metrics_table.check()


def test_a_name_says_whose_it_is_and_is_there_once() -> None:
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


def test_each_service_has_its_rate_errors_and_duration() -> None:
    names = {each.name for each in ALL}
    for service in ("gateway", "inference"):
        assert f"payments_{service}_requests_total" in names
        assert f"payments_{service}_request_duration_seconds" in names
    requests = {each.name: each.labels for each in ALL if each.name.endswith("requests_total")}
    assert all("status" in labels for labels in requests.values())


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
