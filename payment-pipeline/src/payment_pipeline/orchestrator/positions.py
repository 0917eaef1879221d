"""Where do the topics' partitions begin, where do they end, and what is handed to Temporal?"""

from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from payment_pipeline.adapters import kafka
from payment_pipeline.orchestrator.lanes import Lane
from payment_pipeline.settings import Settings

log = structlog.get_logger()


async def lanes(
    settings: Settings, consumer: AIOKafkaConsumer, topics: Sequence[str]
) -> list[Lane]:
    """One lane a partition, from the committed offset on.

    The consumer has them assigned, so that it can commit, and paused, so that it fetches nothing.

    Raises:
        UnknownTopicOrPartitionError: a topic isn't there yet; the message says what makes it.
        KafkaError: the broker doesn't answer.
    """
    places = await kafka.partitions(settings, topics)
    consumer.assign(places)
    consumer.pause(*places)
    first, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    return [
        Lane(
            place.topic,
            place.partition,
            _position(place, await consumer.committed(place), first[place], ends[place]),
        )
        for place in places
    ]


def grown(consumer: AIOKafkaConsumer, known: Sequence[Lane]) -> bool:
    """Whether a topic has got more partitions since."""
    found = {lane.topic: consumer.partitions_for_topic(lane.topic) or () for lane in known}
    return sum(map(len, found.values())) > len(known)


def place(lane: Lane) -> TopicPartition:
    """The lane's partition, as Kafka's client names it."""
    return TopicPartition(lane.topic, lane.partition)


def _position(place: TopicPartition, committed: int | None, first: int, end: int) -> int:
    if committed is None or committed > end:  # a new group, or a new log
        return first
    if committed < first:
        log.error(
            "records_lost_to_retention",
            topic=place.topic,
            partition=place.partition,
            records=first - committed,
        )
    return max(committed, first)
