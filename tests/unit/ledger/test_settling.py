"""Who is how far behind."""

from aiokafka import TopicPartition

from payment_pipeline.domain import topics
from payment_pipeline.ledger.settling import DISPATCHER, NORMALIZER, group_of, lag
from payment_pipeline.normalizer import normalize_loop
from payment_pipeline.orchestrator.dispatcher import dispatch_loop

RAW = TopicPartition("webhooks.stripe.charge", 0)
DLQ = TopicPartition(topics.DLQ_WEBHOOKS, 1)
NORMALIZED = TopicPartition(topics.NORMALIZED, 2)
UNMODELLED = TopicPartition(topics.UNMODELLED, 0)


def test_the_groups_are_the_stages_own() -> None:
    assert NORMALIZER == normalize_loop.GROUP
    assert DISPATCHER == dispatch_loop.GROUP


def test_each_topic_has_the_group_that_consumes_it() -> None:
    groups = {place.topic: group_of(place.topic) for place in (RAW, DLQ, NORMALIZED, UNMODELLED)}
    assert groups == {
        "webhooks.stripe.charge": "normalizer",
        "webhooks.dlq": "dispatcher",
        "payments.normalized": "dispatcher",
        "payments.unmodelled": None,
    }


def test_lag_is_what_lies_past_the_commit() -> None:
    starts = {RAW: 5, DLQ: 0, NORMALIZED: 0, UNMODELLED: 0}
    ends = {RAW: 15, DLQ: 3, NORMALIZED: 7, UNMODELLED: 9}
    assert lag(NORMALIZER, {}, starts, ends) == 10
    assert lag(NORMALIZER, {RAW: 12}, starts, ends) == 3
    assert lag(NORMALIZER, {RAW: 20}, starts, ends) == 0
    assert lag(DISPATCHER, {NORMALIZED: 7}, starts, ends) == 3
