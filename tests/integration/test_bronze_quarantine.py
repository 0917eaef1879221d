"""Every dead letter is stored once, byte for byte, whatever its content."""

import asyncpg
import pytest

from payment_pipeline.bronze import writer
from payment_pipeline.domain.failures import FailureClass, FieldError
from support.bronze_letters import letter

pytestmark = pytest.mark.stack


async def rows(pool: asyncpg.Pool) -> list[asyncpg.Record]:
    found = await pool.fetch("SELECT * FROM payment_events_quarantine ORDER BY source_offset")
    return list(found)


async def test_letters_are_kept_once(bronze: asyncpg.Pool) -> None:
    letters = [letter(offset) for offset in range(20)]
    await writer.quarantine(bronze, letters, "wf")
    await writer.quarantine(bronze, [*letters[10:], letter(20), letter(20)], "wf-2")
    found = await rows(bronze)
    assert [row["source_offset"] for row in found] == list(range(21))
    assert found[0]["errors"] == [{"path": "data.object.amount", "message": "not an integer"}]
    assert found[0]["workflow_id"] == "wf"
    assert found[15]["workflow_id"] == "wf"


async def test_a_letter_keeps_the_identity_of_its_event(bronze: asyncpg.Pool) -> None:
    await writer.quarantine(bronze, [letter(0, identity_sha256="e" * 64), letter(1)], "wf")
    assert [row["identity_sha256"] for row in await rows(bronze)] == ["e" * 64, None]


async def test_one_record_may_fail_in_two_ways(bronze: asyncpg.Pool) -> None:
    conflict = letter(1, failure=FailureClass.CONFLICTING_BODY)
    await writer.quarantine(bronze, [letter(1), conflict], "wf")
    assert len(await rows(bronze)) == 2


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 100_000], ids=["null", "half", "long"])
async def test_no_text_is_refused_and_the_body_is_untouched(
    bronze: asyncpg.Pool, text: str
) -> None:
    body = b'{"id": "\\u0000"}\0\xff' + text.encode(errors="surrogatepass")
    errors = (FieldError(path=text, message=text),)
    bad = letter(0, body, event_id=text, provider_event_type=text, traceparent=text, errors=errors)
    await writer.quarantine(bronze, [bad, letter(1)], "wf")
    first, second = await rows(bronze)
    assert first["body"] == body
    assert first["event_id"] == text.replace("\0", "␀").replace("\ud800", "?")
    assert second["event_id"] == "evt_1"


async def test_nothing_is_nothing(bronze: asyncpg.Pool) -> None:
    await writer.quarantine(bronze, [], "wf")
    assert await rows(bronze) == []
