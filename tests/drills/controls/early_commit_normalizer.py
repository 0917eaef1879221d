"""A normalizer that commits its offsets before it has produced, and dies between the two."""

import os
from collections.abc import Sequence
from unittest.mock import patch

from payment_pipeline import telemetry
from payment_pipeline.normalizer import __main__ as program
from payment_pipeline.normalizer.batch_publisher import Work
from payment_pipeline.normalizer.normalize_loop import Normalizer, Polled


class EarlyCommit(Normalizer):
    """Its first batch is its last."""

    async def _deliver(self, works: Sequence[Work], polled: Polled, began_ns: int) -> None:
        del works, began_ns
        await self._commit({place: records[-1].offset + 1 for place, records in polled.items()})
        # Its place in the group goes with it: who waits for a dead member's would only wait longer.
        await self._source.stop()
        os._exit(1)


if __name__ == "__main__":
    with patch.object(program, "Normalizer", EarlyCommit):
        telemetry.run(program.main)
