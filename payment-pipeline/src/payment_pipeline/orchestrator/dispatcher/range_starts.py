"""Starts the workflow of a range exactly once.

`REJECT_DUPLICATE` and `USE_EXISTING` make a start idempotent: a second start is a success. But if
Kafka's data was wiped and Temporal's was not, offsets begin at 0 again, and the ids of old ranges
would hide new events. So if a closed workflow already has a range's id, its start is compared with
the times of the range's records. Records younger than that workflow belong to a new log, and their
range starts under an id with their time.
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
    """Start the range's workflow, or find it running.

    Returns:
        The workflow's handle; `None` if the range's workflow has already ended.

    Raises:
        RPCError: Temporal does not answer; the workflow may or may not have been started.
        KafkaError: the id is taken, and Kafka does not tell the times of the range's records.
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
    """Return the time (Unix ms) of the range's first record that is younger than its workflow.

    Returns:
        `None` if the range has no such record.
    """
    existing = await client.get_workflow_handle(batch.workflow_id).describe()
    partition = TopicPartition(batch.topic, batch.partition)
    after_ms = int(existing.start_time.timestamp() * 1000) + 1
    found = (await consumer.offsets_for_times({partition: after_ms}))[partition]
    if found is None or found.offset >= batch.end:
        return None
    return int(found.timestamp)
