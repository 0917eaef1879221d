"""Deterministic code only: no clock, no network, no settings; everything else is an activity.

A change that alters the commands of a running workflow goes behind `workflow.patched`; the stored
histories in `tests/replay` tell whether it does.
"""

from payment_pipeline.orchestrator.workflows.ingest import IngestRange, QuarantineRange
from payment_pipeline.orchestrator.workflows.recovery import PaymentRecovery
from payment_pipeline.orchestrator.workflows.rescore import Rescore
from payment_pipeline.orchestrator.workflows.review import FraudReview

WORKFLOWS = (IngestRange, QuarantineRange, Rescore, FraudReview, PaymentRecovery)

__all__ = [
    "WORKFLOWS",
    "FraudReview",
    "IngestRange",
    "PaymentRecovery",
    "QuarantineRange",
    "Rescore",
]
