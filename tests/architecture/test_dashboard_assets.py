"""Superset's files agree with the marts' contracts, the rule about currencies and each other."""

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from support.dbt_project import PROJECT, described

ASSETS: Final = Path(__file__).resolve().parents[2] / "infrastructure/superset/assets"
ONE_CURRENCY: Final = re.compile(r"IF\(MIN\(currency\) = MAX\(currency\), .+\)", re.DOTALL)
MONEY: Final = re.compile(r"amount|mrr")
WITHOUT_TIME_RANGE: Final = {
    "Audit by day and currency": "must show every day that differs, however old",
    "Open reviews": "counts the reviews that are open now, however old",
    "Review queue": "must show the oldest open reviews",
    "Monthly recurring revenue": "is a running total, which a time range would start at zero",
}
"""Charts that ignore the time range, each with the reason."""


def assets(kind: str) -> dict[str, Any]:
    return {
        str(path.relative_to(ASSETS)): yaml.safe_load(path.read_text())
        for path in sorted(ASSETS.glob(f"{kind}/**/*.yaml"))
    }


DATASETS = {each["uuid"]: each for each in assets("datasets").values()}
CHARTS = assets("charts")
DASHBOARDS = assets("dashboards")


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda each: str(each["table_name"]))
def test_dataset_has_the_columns_and_descriptions_of_its_mart(dataset: dict[str, Any]) -> None:
    mart = described()[dataset["table_name"]]
    assert dataset["description"] == flat(mart["description"])
    promised = {column["name"]: column for column in mart["columns"]}
    for column in dataset["columns"]:
        if "expression" in column:
            assert column["description"]
            continue
        contract = promised[column["column_name"]]
        assert column["type"] == contract["data_type"].upper()
        assert column["description"] == flat(contract["description"])
    assert dataset["main_dttm_col"] in promised


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda each: str(each["table_name"]))
def test_no_metric_sums_across_currencies(dataset: dict[str, Any]) -> None:
    assert dataset["metrics"]
    for metric in dataset["metrics"]:
        assert metric["description"], metric["metric_name"]
        if MONEY.search(metric["expression"]):
            assert ONE_CURRENCY.fullmatch(metric["expression"]), metric["metric_name"]


@pytest.mark.parametrize("path", CHARTS)
def test_chart_uses_columns_and_metrics_of_its_dataset(path: str) -> None:
    """Charts have no ad hoc metrics, because the rule about currencies checks only datasets."""
    chart = CHARTS[path]
    dataset = DATASETS[chart["dataset_uuid"]]
    metrics = {metric["metric_name"] for metric in dataset["metrics"]}
    columns = {column["column_name"] for column in dataset["columns"]}
    params = chart["params"]
    asked = [*params.get("metrics", ()), *filter(None, [params.get("metric")])]
    assert set(asked) <= metrics
    assert asked or params["query_mode"] == "raw"
    named = [*params.get("groupby", ()), *params.get("all_columns", ())]
    assert {*named, *filter(None, [params.get("x_axis")])} <= columns
    formatted = {rule["column"] for rule in params.get("conditional_formatting", ())}
    assert formatted <= {*asked, *named}
    assert chart["description"]


@pytest.mark.parametrize("path", DASHBOARDS)
def test_dashboard_refers_to_existing_charts_and_datasets(path: str) -> None:
    dashboard = DASHBOARDS[path]
    charts = {chart["uuid"]: chart for chart in CHARTS.values()}
    placed = [item for item in dashboard["position"].values() if is_chart(item)]
    for item in placed:
        assert item["meta"]["sliceName"] == charts[item["meta"]["uuid"]]["slice_name"]
    assert len(placed) >= 6
    for row in dashboard["position"].values():
        if isinstance(row, dict) and row["type"] == "ROW":
            widths = [dashboard["position"][each]["meta"]["width"] for each in row["children"]]
            assert sum(widths) == 12
    for each in dashboard["metadata"]["native_filter_configuration"]:
        for target in each["targets"]:
            assert target.get("datasetUuid", next(iter(DATASETS))) in DATASETS


@pytest.mark.parametrize("path", DASHBOARDS)
def test_amounts_are_shown_in_one_currency(path: str) -> None:
    """A filter with exactly one currency applies to amounts that are not grouped by currency."""
    dashboard = DASHBOARDS[path]
    filters = dashboard["metadata"]["native_filter_configuration"]
    chooses = [each for each in filters if each["name"] == "Currency"]
    for item in filter(is_chart, dashboard["position"].values()):
        chart = next(each for each in CHARTS.values() if each["uuid"] == item["meta"]["uuid"])
        params = chart["params"]
        asked = {*params.get("metrics", ()), params.get("metric")}
        money = {
            metric["metric_name"]
            for metric in DATASETS[chart["dataset_uuid"]]["metrics"]
            if ONE_CURRENCY.fullmatch(metric["expression"])
        }
        if asked & money and "currency" not in params.get("groupby", ()):
            (choice,) = chooses
            assert choice["requiredFirst"]
            assert not choice["controlValues"]["multiSelect"]
            assert item["meta"]["chartId"] not in choice["scope"]["excluded"], chart["slice_name"]


@pytest.mark.parametrize("path", DASHBOARDS)
def test_each_chart_applies_the_time_range_unless_listed(path: str) -> None:
    """Superset applies a dashboard's time range only to charts with a filter for the time range.

    A date is compared as the timestamp of its midnight. For a date column, Superset writes "now" as
    today's date, and a range that ends now would exclude today.
    """
    (filter_,) = [
        each
        for each in DASHBOARDS[path]["metadata"]["native_filter_configuration"]
        if each["filterType"] == "filter_time"
    ]
    assert filter_["scope"]["rootPath"] == ["ROOT_ID"]
    excluded = set(filter_["scope"]["excluded"])
    for item in filter(is_chart, DASHBOARDS[path]["position"].values()):
        chart = next(each for each in CHARTS.values() if each["uuid"] == item["meta"]["uuid"])
        name = chart["slice_name"]
        ranges = [
            (each["subject"], each["clause"], each["expressionType"], each["comparator"])
            for each in chart["params"]["adhoc_filters"]
            if each.get("operator") == "TEMPORAL_RANGE"
        ]
        assert (item["meta"]["chartId"] in excluded) is (name in WITHOUT_TIME_RANGE), name
        if name in WITHOUT_TIME_RANGE:
            assert ranges == [], name
            continue
        assert chart["params"].get("rolling_type") != "cumsum", name
        dataset = DATASETS[chart["dataset_uuid"]]
        columns = {column["column_name"]: column for column in dataset["columns"]}
        subject = moment(dataset, chart["params"].get("x_axis"))
        assert ranges == [(subject, "WHERE", "SIMPLE", "No filter")], name
        assert columns[subject]["is_dttm"], name
        assert columns[subject]["type"].startswith("TIMESTAMP"), name


DEFAULT_RANGES: Final = {
    "payments.yaml": "Last 90 days",
    "pipeline_health.yaml": "Last day",
    "risk_and_retention.yaml": "Last 90 days",
}
"""The health of the pipeline is that of today, and its times are of our own clock."""


@pytest.mark.parametrize("path", DASHBOARDS)
def test_each_dashboard_opens_with_a_time_range(path: str) -> None:
    """Without a range, one event of 2016 would stretch the axis of every chart."""
    filters = DASHBOARDS[path]["metadata"]["native_filter_configuration"]
    (mask,) = [each["defaultDataMask"] for each in filters if each["filterType"] == "filter_time"]
    wanted = DEFAULT_RANGES[Path(path).name]
    assert mask == {
        "extraFormData": {"time_range": wanted},
        "filterState": {"value": wanted},
        **{name: value for name, value in mask.items() if name == "ownState"},
    }


def test_a_chart_without_a_time_range_has_a_bounded_axis() -> None:
    for path, chart in CHARTS.items():
        axis = chart["params"].get("x_axis")
        if chart["slice_name"] in WITHOUT_TIME_RANGE and axis:
            columns = DATASETS[chart["dataset_uuid"]]["columns"]
            (column,) = [each for each in columns if each["column_name"] == axis]
            assert "INTERVAL '90' DAY" in column["expression"], path


def test_each_listed_chart_exists() -> None:
    assert set(WITHOUT_TIME_RANGE) <= {chart["slice_name"] for chart in CHARTS.values()}


@pytest.mark.parametrize("path", DASHBOARDS)
def test_exposure_depends_on_the_marts_that_the_dashboard_shows(path: str) -> None:
    """dbt's exposure of a dashboard lists exactly the marts that the dashboard shows."""
    exposures = yaml.safe_load((PROJECT / "models/exposures.yml").read_text())["exposures"]
    title = DASHBOARDS[path]["dashboard_title"]
    (exposure,) = [each for each in exposures if each["label"] == title]
    placed = {
        item["meta"]["uuid"] for item in filter(is_chart, DASHBOARDS[path]["position"].values())
    }
    shown = {
        f"ref('{DATASETS[chart['dataset_uuid']]['table_name']}')"
        for chart in CHARTS.values()
        if chart["uuid"] in placed
    }
    assert shown == set(exposure["depends_on"])


def test_each_chart_is_on_one_dashboard_and_uuids_are_unique() -> None:
    placed = Counter(
        item["meta"]["uuid"]
        for dashboard in DASHBOARDS.values()
        for item in filter(is_chart, dashboard["position"].values())
    )
    assert placed == Counter(chart["uuid"] for chart in CHARTS.values())
    everything = [*DATASETS.values(), *CHARTS.values(), *DASHBOARDS.values()]
    uuids = [each["uuid"] for each in [*everything, *assets("databases").values()]]
    assert len(uuids) == len(set(uuids))


def test_the_database_is_read_only_and_the_files_hold_no_secret() -> None:
    (database,) = assets("databases").values()
    assert urlsplit(database["sqlalchemy_uri"]).password is None
    assert not database["allow_dml"]
    assert not database["allow_ctas"]
    assert not database["allow_csv_upload"]


def moment(dataset: dict[str, Any], x_axis: str | None) -> str:
    """Returns the timestamp column of the x axis, or else the main one of the dataset."""
    columns = {column["column_name"]: column for column in dataset["columns"]}
    axis = x_axis if x_axis and columns[x_axis]["is_dttm"] else dataset["main_dttm_col"]
    if columns[axis]["type"] != "DATE":
        return str(axis)
    (found,) = [
        str(name)
        for name, column in columns.items()
        if column.get("expression") == f"CAST({axis} AS TIMESTAMP)"
    ]
    return found


def is_chart(item: object) -> bool:
    return isinstance(item, dict) and item["type"] == "CHART"


def flat(text: str) -> str:
    return " ".join(text.split())
