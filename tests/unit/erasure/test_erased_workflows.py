"""Tests which messages of Temporal name a person."""

import pytest
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes

from payment_pipeline.adapters.temporal_payloads import EncryptedPayloads
from payment_pipeline.erasure.erased_workflows import _is_named_in
from support.mentions_of_jane import HERS, JANE, OTHERS
from support.people import person


def started(text: str) -> HistoryEvent:
    given = Payloads(payloads=[Payload(data=text.encode())])
    attributes = WorkflowExecutionStartedEventAttributes(input=given)
    return HistoryEvent(workflow_execution_started_event_attributes=attributes)


@pytest.mark.parametrize("text", HERS)
def test_a_payload_with_her_id_names_her(text: str) -> None:
    assert _is_named_in(started(text), person(JANE))


@pytest.mark.parametrize("text", OTHERS)
def test_a_payload_with_another_id_does_not_name_her(text: str) -> None:
    assert not _is_named_in(started(text), person(JANE))


def test_the_length_byte_before_a_text_is_not_part_of_an_id() -> None:
    execution = WorkflowExecution(workflow_id=f"{JANE}/{'1' * 60}")
    assert b"E" + JANE.encode() in execution.SerializeToString(), "69 bytes"
    assert _is_named_in(execution, person(JANE))


async def test_an_encrypted_payload_with_her_id_names_her() -> None:
    codec = EncryptedPayloads(lambda: ["a key that is long enough for a key of payloads"])
    event = started(JANE)
    payloads = event.workflow_execution_started_event_attributes.input
    await codec.encode_wrapper(payloads)
    assert not _is_named_in(event, person(JANE)), "the bytes alone do not show her"
    assert _is_named_in(event, person(JANE), codec.opened)
