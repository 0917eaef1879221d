"""Does an erasure in bronze take what is the person's, and nothing of those with a longer id?"""

import asyncpg
import pytest

from bronze_letters import letter
from mentions_of_jane import HERS, JANE, OTHERS
from payment_pipeline.bronze import writer
from payment_pipeline.erasure import tables
from payment_pipeline.erasure.person import Person

pytestmark = pytest.mark.stack

CLOSE = """
UPDATE payment_events_quarantine
SET resolution = 'dismissed', resolved_at = clock_timestamp(), resolved_by = 'test'
"""


async def bodies(pool: asyncpg.Pool) -> list[bytes]:
    rows = await pool.fetch("SELECT body FROM payment_events_quarantine ORDER BY source_offset")
    return [row["body"] for row in rows]


async def test_letters_of_those_with_a_longer_id_stay(bronze: asyncpg.Pool) -> None:
    given = [text.encode() for text in (*HERS, *OTHERS)]
    letters = [letter(offset, body) for offset, body in enumerate(given)]
    await writer.quarantine(bronze, letters, "wf")
    await bronze.execute(CLOSE)
    person = Person("stripe", JANE)
    async with bronze.acquire() as connection:
        assert await tables.find(connection, person) == {"payment_events_quarantine": len(HERS)}
        await tables.erase(connection, person)
        assert await tables.find(connection, person) == {}
    assert await bodies(bronze) == [*([b""] * len(HERS)), *given[len(HERS) :]]


async def test_letters_about_a_longer_object_stay(bronze: asyncpg.Pool) -> None:
    given = [b'{"payment_intent": "pi_1"}', b'{"payment_intent": "pi_12"}']
    await writer.quarantine(bronze, [letter(n, body) for n, body in enumerate(given)], "wf")
    await bronze.execute(CLOSE)
    async with bronze.acquire() as connection:
        await tables.erase(connection, Person("stripe", JANE, frozenset({"pi_1"})))
    assert await bodies(bronze) == [b"", given[1]]
