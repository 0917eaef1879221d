"""A normalizer that exits at the first event that it cannot read. Control of drill 4."""

from datetime import datetime
from unittest.mock import patch

from payment_pipeline import telemetry
from payment_pipeline.domain.failures import Rejected
from payment_pipeline.domain.headers import Headers
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.normalizer import __main__ as program
from payment_pipeline.normalizer import normalize_loop
from payment_pipeline.normalizer.step import Step, message
from payment_pipeline.providers import Context, Provider


class UnreadableError(Exception):
    """Stops the normalizer: no code catches it."""


def step(
    raw: RawEvent, headers: Headers, provider: Provider, context: Context, _now: datetime
) -> Step:
    """Normalize, or raise."""
    answer = provider.normalize(raw, context)
    if isinstance(answer, Rejected):
        raise UnreadableError(answer.failure)
    return Step(answer, message(answer, raw, headers))


if __name__ == "__main__":
    with patch.object(normalize_loop, "step", step):
        telemetry.run(program.main)
