"""What inference counts: batches, events, durations, and which versions answer."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from payment_pipeline.telemetry import LATENCY_BUCKETS_S

REQUESTS: Final = Counter(
    "payments_inference_requests_total", "Batches answered, by HTTP status.", ["status"]
)
DURATION_S: Final = Histogram(
    "payments_inference_request_duration_seconds",
    "From a batch's head to its answer, waiting included.",
    buckets=LATENCY_BUCKETS_S,
)
EVENTS: Final = Counter(
    "payments_inference_events_total", "Events of the batches that were scored."
)
SCORES: Final = Counter("payments_inference_scores_total", "Scores given, by model.", ["model"])
IN_FLIGHT: Final = Gauge("payments_inference_in_flight_requests", "Batches scored or waiting now.")
UNKNOWN_FEATURES: Final = Counter(
    "payments_inference_unknown_features_total",
    "Feature values that had a name nobody knows, so were left out: versions that don't match.",
)
MODELS: Final = Gauge(
    "payments_inference_model_info",
    "1 for the version of a model that answers.",
    ["model", "version"],
)
RELOADS_FAILED: Final = Counter(
    "payments_inference_reload_failures_total",
    "New versions that could not be loaded; the old ones go on answering.",
)
