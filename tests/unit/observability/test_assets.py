"""Alerts, dashboards and targets refer to existing metrics, and promtool accepts them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from local_stack.components import components
from payment_operations.metrics_table import metrics
from payment_pipeline.settings import Settings
from support.repository import ROOT

FOLDER = ROOT / "infrastructure" / "observability"
PROMETHEUS = FOLDER / "prometheus"
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))
RUNBOOK = ROOT / "docs" / "runbooks" / "alerts.md"
LABELS = {
    series: {*each.labels, "le"}
    for all_ in metrics().values()
    for each in all_
    for series in each.series
}
SCRAPED = {"job", "instance"}
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]


def panels(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Where each query is, and the query."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel.get("targets", ()):
                yield f"{path.stem}: {panel['title']}", target["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_a_query_uses_existing_metrics_and_labels(where: str, expression: str) -> None:
    named = re.findall(r"\b(payments_[a-z_]+|up\b)(?:\{([^}]*)\})?", expression)
    assert named, where
    known = set(SCRAPED)
    for series, matchers in named:
        assert series == "up" or series in LABELS, f"{where}: {series}"
        has = LABELS.get(series, set()) | SCRAPED
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", matchers)) <= has, where
        known |= has
    grouped = re.findall(r"\b(?:by|on|group_left|ignoring) ?\(([^)]*)\)", expression)
    asked = {label.strip() for labels in grouped for label in labels.split(",") if label.strip()}
    assert asked <= known, where


def test_each_metric_is_used_by_an_alert_or_a_dashboard() -> None:
    everything = " ".join(expression for _, expression in expressions())
    unseen = [
        each.name
        for found in metrics().values()
        for each in found
        if not any(re.search(rf"\b{series}\b", everything) for series in each.series)
    ]
    assert unseen == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_severity_a_description_and_a_runbook(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    said = rule["annotations"]
    assert said["summary"]
    assert said["description"]
    path, _, anchor = said["runbook_url"].partition("#")
    assert ROOT / path == RUNBOOK
    assert anchor == rule["alert"].lower()
    section = re.search(
        rf"^## {rule['alert']}$(.*?)(?=^## |\Z)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL
    )
    assert section, f"no section {rule['alert']} in {RUNBOOK.name}"
    for part in ("**Means.**", "**Look.**", "**Do.**", "**Wake.**"):
        assert part in section[1], f"{rule['alert']} lacks {part}"


def test_each_section_of_the_runbook_belongs_to_an_alert() -> None:
    sections = set(re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert sections == {rule["alert"] for rule in RULES}


def test_each_alert_has_an_input_that_fires_it_and_one_that_does_not() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())["tests"]
    expected = {f"{rule['alert']} {how}" for rule in RULES for how in ("fires", "stays silent")}
    assert {test["name"] for test in tests} == expected
    for test in tests:
        (tried,) = test["alert_rule_test"]
        assert bool(tried.get("exp_alerts")) == test["name"].endswith("fires"), test["name"]


def stages() -> dict[str, int]:
    """The port of each stage's metrics: the last one. Only the gateway has another."""
    defaults = Settings.model_construct()
    return {
        name: getattr(defaults, component.ports[-1])
        for name, component in components().items()
        if component.command(defaults)[-1].startswith(
            ("payment_pipeline.", "orchestration_dagster.")
        )
    }


def targets(path: Path) -> dict[str, list[str]]:
    """The addresses of each job."""
    found = yaml.safe_load(path.read_text())
    return {each["labels"]["job"]: each["targets"] for each in found}


def test_prometheus_scrapes_each_stage_at_its_port() -> None:
    (scraped,) = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    (files,) = scraped["file_sd_configs"]
    assert files["files"] == ["targets.yml"]
    host = Settings.model_construct().host
    expected = {name: [f"{host}:{port}"] for name, port in stages().items()}
    assert targets(PROMETHEUS / "targets.yml") == expected


def test_prometheus_scrapes_each_stage_in_compose_by_its_name() -> None:
    path = ROOT / "infrastructure/compose/observability/targets.yml"
    expected = {name: [f"{name}:{port}"] for name, port in stages().items()}
    assert targets(path) == {**expected, "collector": ["collector:8888"]}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_provisioned(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    assert dashboard["uid"] == f"payments-{path.stem}"
    found = panels(path)
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_has_only_fields_of_grafanas_schema(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    for annotation in dashboard["annotations"]["list"]:
        del annotation["titleFormat"]  # its Prometheus plugin's, which the schema leaves out
    kept = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    assert list(lost(dashboard, kept)) == []


def lost(given: object, kept: object, path: str = "") -> Iterator[str]:
    """What of `given` is not in `kept`."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            if name not in kept:
                yield f"{path}/{name}"
            else:
                yield from lost(value, kept[name], f"{path}/{name}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{path}/{number}")
    elif given != kept:
        yield path


def promtool(*words: str, folder: Path = PROMETHEUS) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not on the PATH: Debian's package `prometheus` has it")
    done = subprocess.run(
        ["promtool", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_configuration() -> None:
    promtool("check", "config", "prometheus.yml")


def test_promtool_accepts_the_tests_of_every_alert() -> None:
    promtool("test", "rules", "alerts.test.yml")


def test_promtool_accepts_every_query_of_the_dashboards(tmp_path: Path) -> None:
    queries = [
        {"record": "panel:query", "expr": query} for where, query in expressions() if ":" in where
    ]
    rules = {"groups": [{"name": "panels", "rules": queries}]}
    for number, rule in enumerate(queries):
        rule["record"] = f"panel:{number}"
    (tmp_path / "panels.yml").write_text(yaml.safe_dump(rules))
    promtool("check", "rules", "panels.yml", folder=tmp_path)


def test_promtool_rejects_a_wrong_query(tmp_path: Path) -> None:
    rules = {"groups": [{"name": "x", "rules": [{"record": "x", "expr": "rate(payments_x[5m)"}]}]}
    (tmp_path / "wrong.yml").write_text(yaml.safe_dump(rules))
    with pytest.raises(AssertionError):
        promtool("check", "rules", "wrong.yml", folder=tmp_path)
