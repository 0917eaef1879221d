"""The normalizer's process: `python -m payment_pipeline.normalizer`."""

import socket

from aiokafka.errors import KafkaConnectionError

from payment_pipeline import settings, telemetry
from payment_pipeline.adapters import kafka
from payment_pipeline.domain.failures import UserError
from payment_pipeline.providers import Context

from .normalize_loop import GROUP, Normalizer
from .version import normalizer_version


async def main() -> None:
    """Connect the loop to Kafka and run it until the process is stopped."""
    config = settings.load()
    telemetry.configure("normalizer", config)
    context = Context(
        pseudonym_key=config.secret("pseudonym_key").encode(),
        normalizer_version=normalizer_version(),
    )
    # Two processes on one host cannot have the same port, so the port makes the member unique.
    member = f"{socket.gethostname()}-{config.normalizer_metrics_port}"
    source = kafka.consumer(config, group=GROUP, member=member, in_batches=True)
    sink = kafka.producer(config)
    normalizer = Normalizer(source, sink, context, config.normalizer_batch_records_max)
    async with telemetry.serve_probes(
        config.normalizer_metrics_port, config.host, normalizer.ready
    ):
        try:
            await sink.start()
            await source.start()
            telemetry.calm_collector()
            await normalizer.run()
        except KafkaConnectionError as error:
            raise UserError(
                f"Kafka does not answer at {config.kafka}. Start it with `payments up`, or set "
                "PAYMENTS_KAFKA_BOOTSTRAP_SERVERS.",
                1,
            ) from error
        finally:
            await source.stop()
            await sink.stop()


if __name__ == "__main__":
    telemetry.run(main)
