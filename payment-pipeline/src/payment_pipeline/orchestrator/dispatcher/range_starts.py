"""Was this range ever started? Temporal knows by the workflow's id, if the log is still the same.

`REJECT_DUPLICATE` and `USE_EXISTING` make a start idempotent: a second one is a success. But where
Kafka's data was wiped and Temporal's was not, offsets begin again at 0, and the ids of old ranges
would swallow new events. So a range whose id is taken by a closed workflow is held against the
log: where its records are younger than that workflow, it was another log's, and it starts under
an id of its own.
"""

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from payment_pipeline.domain.topics import NORMALIZED
from payment_pipeline.orchestrator.messages import TASK_QUEUE, OffsetRange
from payment_pipeline.orchestrator.workflows.policies import TASK_TIMEOUT


async def start_range(
    client: Client, consumer: AIOKafkaConsumer, batch: OffsetRange
) -> WorkflowHandle[Any, Any] | None:
    """Start the range's workflow, or find it; `None` if it ran before.

    Raises:
        RPCError: Temporal doesn't answer: nothing is known of the start.
        KafkaError: a taken id could not be held against the log.
    """
    try:
        return await _start(client, batch, batch.workflow_id)
    except WorkflowAlreadyStartedError:
        younger_ms = await _younger_than_its_workflow(client, consumer, batch)
    if younger_ms is None:
        return None
    try:
        return await _start(client, batch, f"{batch.workflow_id}@{younger_ms}")
    except WorkflowAlreadyStartedError:
        return None


async def _start(client: Client, batch: OffsetRange, workflow_id: str) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow(
        "IngestRange" if batch.topic == NORMALIZED else "QuarantineRange",
        batch,
        id=workflow_id,
        task_queue=TASK_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        task_timeout=TASK_TIMEOUT,
        static_summary=f"{batch.end - batch.start} offsets of {batch.topic}",
    )


async def _younger_than_its_workflow(
    client: Client, consumer: AIOKafkaConsumer, batch: OffsetRange
) -> int | None:
    """The time (Unix ms) of the range's first record that came after its workflow, if any did."""
    claimed = await client.get_workflow_handle(batch.workflow_id).describe()
    place = TopicPartition(batch.topic, batch.partition)
    after_ms = int(claimed.start_time.timestamp() * 1000) + 1
    found = (await consumer.offsets_for_times({place: after_ms}))[place]
    if found is None or found.offset >= batch.end:
        return None
    return int(found.timestamp)
