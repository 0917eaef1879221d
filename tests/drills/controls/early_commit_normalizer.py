"""A normalizer that commits offsets before it produces, and then exits. Control of drill 1."""

import os
from collections.abc import Sequence
from unittest.mock import patch

from payment_pipeline import telemetry
from payment_pipeline.normalizer import __main__ as program
from payment_pipeline.normalizer.batch_publisher import Work
from payment_pipeline.normalizer.normalize_loop import Normalizer, Polled


class EarlyCommit(Normalizer):
    """Commits the first batch, and exits before it produces the batch."""

    async def _deliver(self, works: Sequence[Work], polled: Polled, began_ns: int) -> None:
        del works, began_ns
        ends = {partition: records[-1].offset + 1 for partition, records in polled.items()}
        await self._commit(ends)
        # Leave the consumer group, so that the next member need not wait for a session timeout.
        await self._source.stop()
        os._exit(1)


if __name__ == "__main__":
    with patch.object(program, "Normalizer", EarlyCommit):
        telemetry.run(program.main)
