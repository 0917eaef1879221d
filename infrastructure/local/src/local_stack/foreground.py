"""One component in the foreground, as a container runs it: nothing here supervises it."""

import os
from collections.abc import Callable
from typing import NoReturn

from local_stack import files
from local_stack.component import Component
from local_stack.components import component
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import PRIVATE_UMASK, Settings


def run(
    settings: Settings, name: str, progress: Callable[[str], None], *, prepared: bool = False
) -> NoReturn:
    """Prepare a component, unless another container did, and replace this process by it.

    Raises:
        UserError: as `prepare`.
    """
    os.umask(PRIVATE_UMASK)
    chosen = component(name) if prepared else prepare(settings, name, progress)
    program, *arguments = chosen.command(settings)
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell is the point


def prepare(settings: Settings, name: str, progress: Callable[[str], None]) -> Component:
    """Prepare a component, as `payments up` does before it starts it.

    Args:
        settings: of the component; the addresses of what it needs are given.
        name: of the component.
        progress: gets a line before a preparation that takes long.

    Raises:
        UserError: there is no such component, its folder can't be written, or its preparation
            failed.
    """
    chosen = component(name)
    os.umask(PRIVATE_UMASK)
    try:
        files.run_dir(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as refusal:
        raise UserError(
            f"Can't write {refusal.filename}: mount a volume there, or set PAYMENTS_VAR."
        ) from refusal

    def work(more: int, _done: int) -> None:
        if more:
            progress(f"{name}: preparing")

    chosen.prepare(settings, work)
    return chosen
