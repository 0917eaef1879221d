"""The body of a dead letter that was too large to embed is fetched from its source record."""

from datetime import UTC, datetime
from hashlib import sha256
from types import SimpleNamespace

import pytest

from payment_pipeline.adapters.kafka_ranges import RangeExpiredError
from payment_pipeline.dlq.redrive_plan import Letter
from payment_pipeline.dlq.redrive_topics import Bodies
from payment_pipeline.domain.raw import Coordinates

BODY = b"x" * 10
AT = Coordinates(topic="webhooks.stripe.charge", partition=1, offset=9)


class Ranges:
    """Stands for `RangeReader`."""

    def __init__(self, held: bytes | None, *, expired: bool = False) -> None:
        self._held, self._expired = held, expired
        self.asked: list[tuple[str, int, int, int]] = []

    async def read(self, *where: object) -> list[SimpleNamespace]:
        self.asked.append(where)  # type: ignore[arg-type]
        if self._expired:
            raise RangeExpiredError
        return [SimpleNamespace(value=self._held)] if self._held is not None else []


def letter(body: bytes, digest: str) -> Letter:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    hashes = digest, None
    return Letter(1, "unprocessable", "stripe", "evt_1", body, *hashes, "verified", at, None, AT)


async def test_a_body_that_was_left_behind_is_fetched() -> None:
    ranges = Ranges(BODY)
    found = await Bodies(ranges).of(letter(b"", sha256(BODY).hexdigest()))  # type: ignore[arg-type]
    assert found.body == BODY
    assert ranges.asked == [("webhooks.stripe.charge", 1, 9, 10)]


@pytest.mark.parametrize("ranges", [Ranges(None), Ranges(None, expired=True)])
async def test_a_body_that_is_gone_leaves_the_letter_as_it_was(ranges: Ranges) -> None:
    given = letter(b"", sha256(BODY).hexdigest())
    assert await Bodies(ranges).of(given) == given  # type: ignore[arg-type]


@pytest.mark.parametrize("body", [BODY, b""])
async def test_a_letter_with_its_bytes_asks_nobody(body: bytes) -> None:
    ranges = Ranges(b"other")
    given = letter(body, sha256(body).hexdigest())
    assert await Bodies(ranges).of(given) == given  # type: ignore[arg-type]
    assert ranges.asked == []
