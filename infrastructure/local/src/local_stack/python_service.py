"""The parts of a component that is one of our own Python services."""

import sys
from collections.abc import Awaitable, Callable

from local_stack.http import answers
from payment_pipeline.settings import Settings


def command_of(module: str) -> Callable[[Settings], list[str]]:
    """Runs a module with this environment's Python."""
    return lambda _settings: [sys.executable, "-m", module]


def address_of(port: str) -> Callable[[Settings], str]:
    """The HTTP address on the stack's host, given the setting of the port."""
    return lambda settings: f"http://{settings.host}:{getattr(settings, port)}"


def readiness_at(address: Callable[[Settings], str]) -> Callable[[Settings], Awaitable[bool]]:
    """Whether the service's `/readyz` answers with success."""

    async def ready(settings: Settings) -> bool:
        return await answers(f"{address(settings)}/readyz")

    return ready
