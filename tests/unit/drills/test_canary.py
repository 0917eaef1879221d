"""The marks of drill 12 in webhooks of every kind of event."""

from random import Random
from typing import Final

import pytest

from drills import canary
from payment_pipeline.domain.events import EventBase
from payment_pipeline.domain.failures import Unmodelled
from payment_pipeline.providers.stripe.event_types import MODELLED
from payment_pipeline.simulator.world import Event
from support.pairs import normalize

MARKS: Final = canary.marks(Random(1))
EVENTS: Final = canary.of_every_kind()


def test_every_kind_that_stripe_sends_is_planted() -> None:
    kinds = {MODELLED[event.type][0].model.model_fields["kind"].default for event in EVENTS}
    wanted = {kind.model.model_fields["kind"].default for kind, _ in MODELLED.values()}
    assert kinds == wanted, "write a fixture pair in tests/providers/stripe for each kind"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_an_event_of_every_kind_carries_the_marks_and_its_row_does_not(event: Event) -> None:
    planted = canary.with_marks(event, MARKS)
    assert all(mark.encode() in planted.body for mark in MARKS)
    ended = normalize(planted.body)
    assert isinstance(ended, EventBase), ended
    written = ended.model_dump_json()
    assert not [mark for mark in MARKS if mark in written]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_its_twin_of_a_type_without_a_model_is_unmodelled(event: Event) -> None:
    twin = canary.unmodelled_with_marks(event, MARKS)
    assert normalize(twin.body) == Unmodelled(twin.type)
