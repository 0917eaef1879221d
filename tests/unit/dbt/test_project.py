"""The dbt project agrees with the contracts, models and events that the code defines."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from payment_pipeline.bronze import contract
from payment_pipeline.bronze.rows import COMMON
from payment_pipeline.domain.currency import ISO_4217, WITHDRAWN
from payment_pipeline.domain.declines import DeclineClass
from payment_pipeline.domain.events import EVENT_TYPES, KINDS
from payment_pipeline.inference.models import models as inference_models
from payment_pipeline.inference.models.retry_strategy import WAIT_MIN
from payment_pipeline.inference.models.retry_strategy import WINDOW as RETRY_WINDOW
from payment_pipeline.orchestrator.workflows.recovery import AFTER_DUE
from payment_pipeline.simulator.actors import new_merchant
from payment_pipeline.simulator.random_source import Dice
from payment_pipeline.simulator.traffic import MERCHANTS_MAX
from support.dbt_project import PROJECT, described, models

SOURCES = yaml.safe_load((PROJECT / "models/staging/_sources.yml").read_text())["sources"][0]
MARTS = [path.stem for path in models() if path.is_relative_to(PROJECT / "models/marts")]
NOT_ATTRIBUTES = {*COMMON, "source", "schema_version"}
STATUSES = {
    status
    for kind in KINDS.values()
    for closed_list in get_args(kind.model_fields["status"].annotation)
    for status in get_args(closed_list)
}
CALLED_BY_DBT = {"generate_schema_name", "trino__create_table_as"}


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (contract.EVENTS_TABLE, contract.EVENTS),
        (contract.QUARANTINE_TABLE, contract.QUARANTINE),
        (contract.DECISIONS_TABLE, contract.DECISIONS),
        (contract.AUDITS_TABLE, contract.AUDITS),
    ],
)
def test_sources_have_the_contracts_columns(
    table: str, columns: tuple[contract.Column, ...]
) -> None:
    found = next(each for each in SOURCES["tables"] if each["name"] == table)
    said = [(column["name"], column["description"].strip()) for column in found["columns"]]
    assert said == [(column.name, column.comment) for column in columns]


def test_staging_reads_every_attribute_of_every_kind() -> None:
    fields = {name for kind in KINDS.values() for name in kind.model_fields}
    macro = (PROJECT / "macros/attributes.sql").read_text().split("macro moment")[0]
    for name in fields - NOT_ATTRIBUTES:
        read = re.search(rf'^\s+"?{name}"? (row\(|\w+)', macro, re.MULTILINE)
        assert read, f"read {name} in macros/attributes.sql"


@pytest.mark.parametrize(
    ("column", "wanted"),
    [("kind", {*KINDS}), ("event_type", {*EVENT_TYPES}), ("status", STATUSES)],
)
def test_staging_knows_every_kind_type_and_status(column: str, wanted: set[str]) -> None:
    entry = next(
        each for each in described()["stg_payment_events"]["columns"] if each["name"] == column
    )
    accepted = entry["data_tests"][0]["accepted_values"]
    known = accepted["arguments"]["values"]
    assert sorted(known) == sorted(wanted), (
        f"make {accepted['name']} in models/staging/stg_payment_events.yml the list of "
        f"domain/events.py: {sorted({*known} ^ {*wanted})} stand in one of the two alone"
    )


def test_the_marts_know_every_class_of_declines() -> None:
    macro = (PROJECT / "macros/lifecycle.sql").read_text().split("macro decline_classes")[1]
    assert re.findall(r"'(\w+)'", macro.split("endmacro")[0]) == list(DeclineClass)


@pytest.mark.parametrize(
    "model", ["stg_payment_events", "int_payment_events", "fct_payment_events"]
)
def test_the_description_of_kind_names_every_kind(model: str) -> None:
    entry = next(each for each in described()[model]["columns"] if each["name"] == "kind")
    unsaid = KINDS.keys() - {*re.findall(r"\w+", entry["description"])}
    assert not unsaid, f"name {sorted(unsaid)} in the description of {model}.kind"


def test_decisions_mature_after_the_window_of_the_models_label() -> None:
    macro = (PROJECT / "macros/reputation.sql").read_text().split("macro maturity_days")[1]
    said = {name: int(days) for name, days in re.findall(r"when '(\w+)' then (\d+)", macro)}
    otherwise = int(re.findall(r"else (\d+)", macro)[0])
    for model in inference_models().values():
        window = getattr(model, "label_window", None)
        if window is not None:
            assert said.get(model.output, otherwise) == window.days, model.name
    assert said["retry_strategy"] == RETRY_WINDOW.days
    (minutes,) = re.findall(r"macro retry_wait_minutes\(\) -%}\s+(\d+)", macro)
    assert int(minutes) * 60 == WAIT_MIN.total_seconds()


def test_a_recovery_waits_as_long_as_its_workflow() -> None:
    macro = (PROJECT / "macros/reputation.sql").read_text()
    (minutes,) = re.findall(r"macro recovery_patience_minutes\(\) -%}\s+(\d+)", macro)
    assert timedelta(minutes=int(minutes)) == sum(AFTER_DUE, timedelta())


def test_every_macro_is_called() -> None:
    sql = "".join(
        path.read_text()
        for folder in ("macros", "models", "data-tests")
        for path in sorted((PROJECT / folder).rglob("*.sql"))
    )
    for name in set(re.findall(r"{% macro (\w+)", sql)) - CALLED_BY_DBT:
        assert len(re.findall(rf"\b{name}\(", sql)) > 1, name


def test_the_currency_seed_has_every_currency_of_an_event() -> None:
    lines = (PROJECT / "seeds/currencies.csv").read_text().splitlines()[1:]
    seeded = {line.split(",")[0]: line.rsplit(",", 2)[1:] for line in lines}
    assert seeded == {
        **{code: [str(exponent), "false"] for code, exponent in ISO_4217.items()},
        **{code: [str(exponent), "true"] for code, exponent in WITHDRAWN.items()},
    }


def test_the_seed_of_names_has_every_simulated_merchant() -> None:
    lines = (PROJECT / "seeds/merchant_names.csv").read_text().splitlines()
    seeded = [tuple(line.split(",")) for line in lines]
    simulated = (new_merchant(Dice(1), index) for index in range(MERCHANTS_MAX))
    assert seeded == [
        ("provider", "merchant_id", "name"),
        *(("stripe", each.account, each.name) for each in simulated if each.account),
    ]


@pytest.mark.parametrize("path", models(), ids=lambda path: path.stem)
def test_every_model_has_a_yaml_file_that_describes_every_column(path: Path) -> None:
    entry = described()[path.stem]
    assert entry["path"] == path.with_suffix(".yml")
    assert entry["description"].strip()
    for column in entry["columns"]:
        assert column["description"].strip().endswith("."), column["name"]


@pytest.mark.parametrize("name", MARTS)
def test_every_mart_has_a_key_and_tests_its_constraints(name: str) -> None:
    entry = described()[name]
    constraints = [
        constraint["type"]
        for column in entry["columns"]
        for constraint in column.get("constraints", ())
    ]
    assert constraints.count("primary_key") == 1
    assert "satisfies_constraints" in entry["data_tests"]


@pytest.mark.parametrize("name", MARTS)
def test_the_guide_names_every_column_of_a_mart(name: str) -> None:
    guide = (PROJECT.parent / "docs/guides/marts.md").read_text()
    entry = described()[name]
    assert f"\n### {name}\n" in guide
    section = guide.split(f"\n### {name}\n")[1].split("\n### ")[0]
    assert " ".join(entry["description"].split()) in section
    said = [set(re.findall(r"`(\w+)`", line)) for line in section.splitlines() if line[:2] == "- "]
    assert set().union(*said) == {column["name"] for column in entry["columns"]}


def test_each_dashboard_has_an_exposure_with_its_marts() -> None:
    found: list[dict[str, Any]] = yaml.safe_load((PROJECT / "models/exposures.yml").read_text())[
        "exposures"
    ]
    for exposure in found:
        assert exposure["depends_on"]
        assert {name[5:-2] for name in exposure["depends_on"]} <= set(MARTS)
    assert {each["label"] for each in found} == {
        "Payments",
        "Risk and retention",
        "Pipeline health",
    }


@pytest.mark.slow
def test_sqlfluff_reports_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("sqlfluff"), "lint", "models", "data-tests"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
