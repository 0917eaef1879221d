"""The start of the native stack, with its stores provisioned."""

from local_stack import stack
from payment_pipeline.settings import Settings

from .provisioning import STEPS


def up(
    settings: Settings,
    only: tuple[str, ...] = (),
    watcher: stack.Watcher | None = None,
    groups: tuple[str, ...] = (),
    *,
    secure: bool = False,
) -> None:
    """Start the stack as `stack.up` does, and provision each store as soon as it is ready.

    Raises:
        UserError: as `stack.up`, or a store refuses.
    """
    stack.up(settings, STEPS, only, watcher, groups, secure=secure)
