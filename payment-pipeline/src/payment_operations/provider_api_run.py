"""Serves the simulated API of the provider from the command line."""

import asyncio
import secrets

from local_stack.files import write_private
from payment_pipeline.books.api_client import key_name
from payment_pipeline.settings import MissingSecretError, Settings
from payment_pipeline.simulator.api_server import serving
from payment_pipeline.simulator.provider_api import ApiFaults, SimulatedApi
from payment_pipeline.simulator.traffic import Period, events

from .terminal import Screen

World = tuple[int, int, Period]
"""The seed, the number of events and the simulated time."""


def serve(settings: Settings, world: World, faults: ApiFaults, port: int) -> None:
    """Serve the API until the process is interrupted. It asks for the key of the settings.

    Without such a key, one is generated and written to its file.

    Raises:
        UserError: the port is taken.
    """
    api = SimulatedApi(_key(settings), livemode=world[2].livemode, faults=faults)
    api.add(events(*world))
    screen = Screen()

    async def until_interrupted() -> None:
        async with serving(api, "127.0.0.1", port) as url:
            screen.line(f"The simulated API of Stripe is at {url}. Stop it with Ctrl-C.")
            screen.line(f"  export PAYMENTS_API_URL_STRIPE={url}")
            await asyncio.Event().wait()

    asyncio.run(until_interrupted())


def _key(settings: Settings) -> str:
    name = key_name("stripe")
    try:
        return settings.secret(name)
    except MissingSecretError:
        key = f"rk_test_{secrets.token_hex(24)}"
        settings.secrets_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(settings.secrets_dir / name, f"{key}\n")
        return key
