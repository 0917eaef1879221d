"""Does a workflow's history that names a longer id stay?"""

import pytest
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes

from payment_pipeline.erasure.erased_workflows import _is_named_in
from payment_pipeline.erasure.person import Person
from support.mentions_of_jane import HERS, JANE, OTHERS


def started(text: str) -> HistoryEvent:
    given = Payloads(payloads=[Payload(data=text.encode())])
    attributes = WorkflowExecutionStartedEventAttributes(input=given)
    return HistoryEvent(workflow_execution_started_event_attributes=attributes)


@pytest.mark.parametrize("text", HERS)
def test_a_payload_that_names_her(text: str) -> None:
    assert _is_named_in(started(text), Person("stripe", JANE))


@pytest.mark.parametrize("text", OTHERS)
def test_a_payload_that_names_somebody_else(text: str) -> None:
    assert not _is_named_in(started(text), Person("stripe", JANE))


def test_a_texts_length_on_the_wire_is_no_part_of_an_id() -> None:
    execution = WorkflowExecution(workflow_id=f"{JANE}/{'1' * 60}")
    assert b"E" + JANE.encode() in execution.SerializeToString(), "69 bytes"
    assert _is_named_in(execution, Person("stripe", JANE))
