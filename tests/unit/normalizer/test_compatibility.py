"""Is a change that breaks a consumer refused, and one that doesn't let through?"""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from payment_pipeline.domain.events import PAYMENT_EVENT
from payment_pipeline.normalizer.compatibility import breaks, refused, schema_version


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
    """The published schema with some properties as given; `None` takes one away."""
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
def test_a_break_is_refused_with_its_path(new: dict[str, Any], said: str) -> None:
    assert refused(OLD, new) == (said,)


def test_a_break_within_a_part_is_found() -> None:
    new = deepcopy(OLD)
    del new["$defs"]["Part"]["properties"]["score"]
    assert any("score is gone" in problem for problem in breaks(OLD, new))
    assert any("parts[].score is gone" in problem for problem in breaks(OLD, new))


def test_a_part_that_promises_less_is_found() -> None:
    published = PAYMENT_EVENT.json_schema()
    new = deepcopy(published)
    charge = new["$defs"]["Charge"]
    charge["required"].remove("livemode")
    charge["properties"]["event_id"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert set(refused(published, new)) == {
        "charge.livemode may be missing now",
        "charge.event_id may be null now",
    }


def test_what_only_adds_passes() -> None:
    new = changed(
        status={"enum": ["open", "closed", "lost"], "type": "string"},
        name={"type": "string", "maxLength": 20},
        more={"type": "string"},
    )
    assert refused(OLD, new) == ()
    assert refused(OLD, {**new, "required": ["status", "more"]}) == (), "always there, from now on"
    assert refused(OLD, OLD) == ()


def test_a_raised_version_announces_any_break() -> None:
    new = changed(name=None, schema_version={"const": 2, "type": "integer"})
    assert schema_version(new) == 2
    assert refused(OLD, new) == ()


def test_the_events_union_is_compared_kind_by_kind() -> None:
    published = PAYMENT_EVENT.json_schema()
    assert schema_version(published) == 1
    assert refused(published, published) == ()

    without_kind = deepcopy(published)
    del without_kind["discriminator"]["mapping"]["payout"]
    assert refused(published, without_kind) == ("payout is gone",)

    without_type = deepcopy(published)
    without_type["$defs"]["Charge"]["properties"]["event_type"]["enum"].remove("charge.failed")
    assert refused(published, without_type) == ("charge.event_type no longer takes charge.failed",)

    without_field = deepcopy(published)
    del without_field["$defs"]["Decline"]["properties"]["advice_code"]
    assert any("advice_code is gone" in problem for problem in refused(published, without_field))
