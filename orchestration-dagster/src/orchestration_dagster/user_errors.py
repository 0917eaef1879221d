"""How does a mistake that a person can mend show in Dagster? As its sentence, tried once."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from payment_pipeline.domain.failures import UserError


@contextmanager
def user_errors_as_failures() -> Iterator[None]:
    """Turn a `UserError` into a failure without retries: only a person changes what it says."""
    try:
        yield
    except UserError as wrong:
        raise dg.Failure(str(wrong), allow_retries=False) from None
