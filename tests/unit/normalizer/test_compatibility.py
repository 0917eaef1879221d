"""A change of a schema that breaks consumers is found; a change that only adds is not."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from payment_pipeline.domain.events import PAYMENT_EVENT
from payment_pipeline.normalizer.compatibility import breaks, schema_version, unannounced_breaks


class Part(BaseModel):
    code: str | None = None
    score: int = 0


class Published(BaseModel):
    schema_version: Literal[1] = 1
    status: Literal["open", "closed"]
    amount: int | None = Field(None, le=100)
    name: str = Field("", max_length=10)
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    part: Part | None = None
    parts: list[Part] = []


OLD = Published.model_json_schema()


def changed(**edits: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the published schema with changed properties; `None` removes a property."""
    new = deepcopy(OLD)
    for name, schema in edits.items():
        if schema is None:
            del new["properties"][name]
        else:
            new["properties"][name] = schema
    return new


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (changed(name=None), "name is gone"),
        ({**OLD, "required": ["status", "name"]}, "name is now required"),
        ({**OLD, "required": []}, "status may be missing now"),
        (
            changed(name={"anyOf": [{"type": "string", "maxLength": 10}, {"type": "null"}]}),
            "name may be null now",
        ),
        (
            changed(name={"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}),
            "name may be integer or null now",
        ),
        (changed(status={"enum": ["open"], "type": "string"}), "status no longer takes closed"),
        (changed(status={"const": "open", "type": "string"}), "status no longer takes closed"),
        (changed(name={"enum": ["a"], "type": "string"}), "name takes only a"),
        (changed(name={"type": "integer"}), "name is no longer string"),
        (changed(amount={"type": "integer", "maximum": 100}), "amount is no longer null"),
        (changed(name={"type": "string", "maxLength": 9}), "name has a lower maxLength: 9"),
        (
            changed(name={"type": "string", "maxLength": 10, "minLength": 1}),
            "name has a higher minLength: 1",
        ),
        (
            changed(name={"type": "string", "maxLength": 10, "pattern": "^a"}),
            "name has another pattern: ^a",
        ),
        (changed(at={"type": "string"}), "at has another format: none"),
    ],
)
def test_a_break_is_described_with_its_path(new: dict[str, Any], said: str) -> None:
    assert unannounced_breaks(OLD, new) == (said,)


def test_a_break_in_a_nested_model_is_found() -> None:
    new = deepcopy(OLD)
    del new["$defs"]["Part"]["properties"]["score"]
    assert any("score is gone" in problem for problem in breaks(OLD, new))
    assert any("parts[].score is gone" in problem for problem in breaks(OLD, new))


def test_a_field_that_is_no_longer_certain_is_found() -> None:
    published = PAYMENT_EVENT.json_schema()
    new = deepcopy(published)
    charge = new["$defs"]["Charge"]
    charge["required"].remove("livemode")
    charge["properties"]["event_id"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert set(unannounced_breaks(published, new)) == {
        "charge.livemode may be missing now",
        "charge.event_id may be null now",
    }


def test_an_addition_is_no_break() -> None:
    new = changed(
        status={"enum": ["open", "closed", "lost"], "type": "string"},
        name={"type": "string", "maxLength": 20},
        more={"type": "string"},
    )
    assert unannounced_breaks(OLD, new) == ()
    assert unannounced_breaks(OLD, {**new, "required": ["status", "more"]}) == (), (
        "a new field may be required"
    )
    assert unannounced_breaks(OLD, OLD) == ()


def test_a_higher_version_allows_any_break() -> None:
    new = changed(name=None, schema_version={"const": 2, "type": "integer"})
    assert schema_version(new) == 2
    assert unannounced_breaks(OLD, new) == ()


def test_the_union_of_events_is_compared_kind_by_kind() -> None:
    published = PAYMENT_EVENT.json_schema()
    assert schema_version(published) == 2
    assert unannounced_breaks(published, published) == ()

    without_kind = deepcopy(published)
    del without_kind["discriminator"]["mapping"]["payout"]
    assert unannounced_breaks(published, without_kind) == ("payout is gone",)

    without_type = deepcopy(published)
    without_type["$defs"]["Charge"]["properties"]["event_type"]["enum"].remove("charge.failed")
    assert unannounced_breaks(published, without_type) == (
        "charge.event_type no longer takes charge.failed",
    )

    without_field = deepcopy(published)
    del without_field["$defs"]["Decline"]["properties"]["advice_code"]
    assert any(
        "advice_code is gone" in problem for problem in unannounced_breaks(published, without_field)
    )
