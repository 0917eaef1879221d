"""Where are the bytes of a letter that was too large to carry them? At its source, for a while."""

from hashlib import sha256
from typing import Final

from payment_pipeline.adapters.kafka_ranges import RangeExpiredError, RangeReader

from .redrive_plan import Letter

EMPTY_SHA256: Final = sha256(b"").hexdigest()


class Bodies:
    """Fetches what a letter left at its source."""

    def __init__(self, ranges: RangeReader) -> None:
        """`ranges` is the owner's to close."""
        self._ranges = ranges

    async def of(self, letter: Letter) -> Letter:
        """The letter with its bytes; as it was, where Kafka's retention has taken them."""
        if letter.body or letter.body_sha256 == EMPTY_SHA256:
            return letter
        at = letter.source
        try:
            records = await self._ranges.read(at.topic, at.partition, at.offset, at.offset + 1)
        except RangeExpiredError:
            return letter
        return letter._replace(body=records[0].value or b"") if records else letter
