"""`python -m payment_pipeline.gateway`: one gateway process."""

from payment_pipeline import settings, telemetry

from .server import serve


async def main() -> None:
    """Serve with the environment's settings."""
    loaded = settings.load()
    telemetry.configure("gateway", loaded)
    await serve(loaded)


if __name__ == "__main__":
    telemetry.run(main)
