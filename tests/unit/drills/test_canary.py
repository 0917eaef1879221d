"""The marks of drill 12, in webhooks of every kind of event."""

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


def test_the_fixture_pairs_cover_every_kind_that_stripe_sends() -> None:
    kinds = {MODELLED[event.type][0].model.model_fields["kind"].default for event in EVENTS}
    wanted = {kind.model.model_fields["kind"].default for kind, _ in MODELLED.values()}
    assert kinds == wanted, "write a fixture pair in tests/providers/stripe for each kind"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_the_body_holds_every_mark_and_the_normalized_event_holds_none(event: Event) -> None:
    marked = canary.with_marks(event, MARKS)
    assert all(mark.encode() in marked.body for mark in MARKS)
    normalized = normalize(marked.body)
    assert isinstance(normalized, EventBase), normalized
    written = normalized.model_dump_json()
    assert not [mark for mark in MARKS if mark in written]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_the_unmodelled_copy_of_an_event_is_unmodelled(event: Event) -> None:
    copy = canary.unmodelled_with_marks(event, MARKS)
    assert normalize(copy.body) == Unmodelled(copy.type)
