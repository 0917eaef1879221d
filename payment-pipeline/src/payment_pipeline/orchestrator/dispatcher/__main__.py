"""The dispatcher's process: `python -m payment_pipeline.orchestrator.dispatcher`."""

from payment_pipeline import telemetry
from payment_pipeline.adapters import temporal
from payment_pipeline.orchestrator.dispatcher.dispatch_loop import Dispatcher
from payment_pipeline.settings import load


async def main() -> None:
    """Connect and dispatch until the process is stopped."""
    settings = load()
    telemetry.configure("dispatcher", settings)
    dispatcher = Dispatcher(settings, await temporal.connect(settings, lazy=True))
    async with telemetry.serve_probes(
        settings.dispatcher_metrics_port, settings.host, dispatcher.ready
    ):
        await dispatcher.run()


if __name__ == "__main__":
    telemetry.run(main)
