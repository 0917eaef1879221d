"""The gateway's metrics: rate, errors and duration of requests, and the work in progress."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from payment_pipeline.telemetry import LATENCY_BUCKETS_S

REQUESTS: Final = Counter(
    "payments_gateway_requests_total",
    "Webhook requests answered, by provider, HTTP status and the answer's code.",
    ["provider", "status", "code"],
)
DURATION_S: Final = Histogram(
    "payments_gateway_request_duration_seconds",
    "From a request's head to its answer, which for an accepted event follows Kafka's ack.",
    buckets=LATENCY_BUCKETS_S,
)
BODY_BYTES: Final = Counter("payments_gateway_body_bytes_total", "Bytes of acknowledged bodies.")
UNACKNOWLEDGED: Final = Gauge(
    "payments_gateway_unacknowledged_records", "Records sent to Kafka and not settled yet."
)
UNACKNOWLEDGED_BYTES: Final = Gauge(
    "payments_gateway_unacknowledged_bytes", "Bytes of bodies sent to Kafka and not settled yet."
)
UNACKNOWLEDGED_MAX: Final = Gauge(
    "payments_gateway_unacknowledged_max_records",
    "Unacknowledged records at which the answer is 503.",
)
KAFKA_ERRORS: Final = Counter(
    "payments_gateway_kafka_errors_total", "Failed sends, by aiokafka's error.", ["error"]
)
PRODUCERS_REPLACED: Final = Counter(
    "payments_gateway_producers_replaced_total",
    "Producers replaced after a delivery failed for good.",
)
SECRETS_LOADED: Final = Gauge(
    "payments_gateway_live_secrets", "Signing secrets that verify now.", ["provider"]
)
SECRET_USED_S: Final = Gauge(
    "payments_gateway_secret_used_timestamp_seconds",
    "When a live signing secret, by fingerprint, last verified; 0 if never since the start.",
    ["provider", "secret"],
)
CONNECTIONS_CUT: Final = Counter(
    "payments_gateway_connections_cut_total", "Connections closed because of a limit.", ["limit"]
)
