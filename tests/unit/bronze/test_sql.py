"""The queries use the columns of the contract and of the code."""

import re
from collections.abc import Mapping
from dataclasses import fields
from importlib.resources import files

import pytest

import payment_pipeline.bronze
from payment_pipeline.adapters.sql import queries
from payment_pipeline.bronze import rows
from payment_pipeline.bronze.contract import FEATURES, QUARANTINE, RESOLUTION, Column
from payment_pipeline.domain.features import EntityState

QUERIES = files(payment_pipeline.bronze) / "queries"
FILES = sorted(path.name for path in QUERIES.iterdir())


def load(file: str) -> Mapping[str, str]:
    return queries("payment_pipeline.bronze", f"queries/{file}")


def columns(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def names(contract: tuple[Column, ...]) -> list[str]:
    return [column.name for column in contract]


@pytest.mark.parametrize("file", FILES)
def test_every_query_is_named_once_and_described(file: str) -> None:
    text = (QUERIES / file).read_text()
    named = load(file)
    assert len(named) == text.count("-- name:") > 0
    assert all(query.startswith("-- ") for query in named.values())


def test_events_are_inserted_with_every_column_of_a_record() -> None:
    query = load("events.sql")["insert"]
    given = re.search(r"payment_events \((.*?)\)\s*SELECT(.*?)FROM", query, re.DOTALL)
    assert given is not None
    assert columns(given[1]) == columns(given[2])
    assert sorted(columns(given[1])) == sorted(rows.COLUMNS)
    incoming = re.search(r"SELECT(.*?)FROM", load("events.sql")["create_incoming"], re.DOTALL)
    assert incoming is not None
    assert columns(incoming[1]) == columns(given[1])


def test_dead_letters_are_inserted_with_every_column_of_the_contract() -> None:
    given = re.search(r"quarantine \((.*?)\)", load("quarantine.sql")["insert"], re.DOTALL)
    assert given is not None
    later = rows.FILLED_BY_POSTGRES | RESOLUTION
    expected = [name for name in names(QUARANTINE) if name not in later]
    assert columns(given[1]) == expected


def test_states_are_read_and_written_field_for_field() -> None:
    state = [field.name for field in fields(EntityState)]
    assert names(FEATURES) == ["provider", "entity", "entity_id", *state]
    queries = load("feature_states.sql")
    selected = re.search(r"SELECT(.*?)FROM", queries["states"], re.DOTALL)
    assert selected is not None
    assert columns(selected[1]) == names(FEATURES)
    written = re.findall(r"^    (\w+) = new\.\1,?$", queries["write_back"], re.MULTILINE)
    assert written == state
