"""What inference counts: batches, events, durations, and which versions answer."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from payment_pipeline.telemetry import LATENCY_BUCKETS_S

BATCHES: Final = Counter(
    "payments_inference_batches_total", "Batches answered, by HTTP status.", ["status"]
)
EVENTS: Final = Counter("payments_inference_events_total", "Events that were asked about.")
SCORES: Final = Counter("payments_inference_scores_total", "Scores given, by model.", ["model"])
LATENCY_S: Final = Histogram(
    "payments_inference_latency_seconds",
    "From a batch's head to its answer, waiting included.",
    buckets=LATENCY_BUCKETS_S,
)
IN_FLIGHT: Final = Gauge("payments_inference_in_flight_batches", "Batches scored or waiting now.")
UNKNOWN_FEATURES: Final = Counter(
    "payments_inference_unknown_features_total",
    "Feature values that had a name nobody knows, so were left out: versions that don't match.",
)
MODELS: Final = Gauge(
    "payments_inference_model", "1 for the version of a model that answers.", ["model", "version"]
)
RELOADS_FAILED: Final = Counter(
    "payments_inference_reloads_failed_total",
    "New versions that could not be loaded; the old ones go on answering.",
)
