"""Runs one gateway process: `python -m payment_pipeline.gateway`."""

from payment_pipeline import settings, telemetry

from .server import serve


async def main() -> None:
    """Serves with the settings from the environment."""
    loaded = settings.load()
    telemetry.configure("gateway", loaded)
    await serve(loaded)


if __name__ == "__main__":
    telemetry.run(main)
