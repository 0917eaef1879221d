"""Shows a `UserError` in Dagster as its message, without retries."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from payment_pipeline.domain.failures import UserError


@contextmanager
def user_errors_as_failures() -> Iterator[None]:
    """Turns a `UserError` into a failure without retries, since only a person can fix its cause."""
    try:
        yield
    except UserError as wrong:
        raise dg.Failure(str(wrong), allow_retries=False) from None
