"""The closed lists of the models, for tests that compare words with them."""

from typing import get_args

from payment_pipeline.domain.events import EventBase


def closed_statuses(kind: type[EventBase]) -> set[object]:
    """The statuses that an event of a kind may have, with `None`."""
    choices = get_args(kind.model_fields["status"].annotation)
    return {None, *(value for choice in choices for value in get_args(choice))}
