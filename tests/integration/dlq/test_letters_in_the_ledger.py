"""The ledger counts a dead letter in the right stage, however it was closed."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from payment_pipeline.bronze import writer
from payment_pipeline.bronze.contract import InferenceStatus
from payment_pipeline.bronze.rows import ScoredEvent
from payment_pipeline.domain.failures import BadRecord, FailureClass, FieldError
from payment_pipeline.domain.raw import Coordinates
from payment_pipeline.ledger import audited_tables
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.stages import Stage, tables_only
from support.normalized_events import NOWHERE, charge

pytestmark = pytest.mark.stack

CLOSE = """
UPDATE payment_events_quarantine
SET resolution = $1, resolved_at = now(), resolved_by = 'test',
    redriven_event_id = event_id, redriven_body_sha256 = body_sha256
"""


def letter(event_id: str, body_sha256: str) -> BadRecord:
    now = datetime.now(UTC)
    return BadRecord(
        failure=FailureClass.INVALID,
        errors=(FieldError(path="", message="test"),),
        component="normalizer",
        component_version="1",
        provider="stripe",
        event_id=event_id,
        provider_event_type="charge.succeeded",
        source=Coordinates(topic="webhooks.stripe.charge", partition=0, offset=1),
        body=b"{}",
        body_sha256=body_sha256,
        received_at=now,
        verdict="verified:stripe:9f2c1a",
        rejected_at=now,
    )


@pytest.mark.parametrize(
    ("resolution", "stored", "stage"),
    [
        (None, False, Stage.QUARANTINE),
        (None, True, Stage.QUARANTINE),
        ("dismissed", False, Stage.QUARANTINE),
        ("written", True, Stage.REDRIVEN),
        ("already_there", True, Stage.REDRIVEN),
        ("written", False, None),
        ("unmodelled", False, Stage.REDRIVEN),
        ("duplicate", False, Stage.QUARANTINE),
        ("duplicate", True, Stage.REDRIVEN),
    ],
)
async def test_a_letters_word_is_held_against_bronze(
    bronze: asyncpg.Pool, resolution: str | None, stored: bool, stage: Stage | None
) -> None:
    event = charge(0, "ledger", NOWHERE)
    if stored:
        row = ScoredEvent(event, None, InferenceStatus.NOT_APPLICABLE)
        await writer.write(bronze, [row], "test")
    await writer.quarantine(bronze, [letter(event.event_id, event.body_sha256)], "test")
    if resolution is not None:
        await bronze.execute(CLOSE, resolution)
    reading = tables_only()
    until = datetime.now(UTC) + timedelta(seconds=1)
    await audited_tables.read(bronze, Window(None, until), reading, {})
    letters = {Stage.QUARANTINE, Stage.REDRIVEN}
    assert {each for each in letters if len(reading.stages[each])} == ({stage} - {None})
    assert len(reading.stages[Stage.BRONZE]) == stored
