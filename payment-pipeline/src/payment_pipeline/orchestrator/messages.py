"""The inputs and results of workflows, activities, signals and queries.

They are plain dataclasses with coordinates, counts and ids, and never an event's body: Temporal
stores them in its histories, which must stay small and free of personal data. Give each new field a
default, so that old histories can be replayed.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from payment_pipeline.domain import ranges

TASK_QUEUE: Final = "payments"

SCORE_RANGE: Final = "score_range"
PERSIST_RANGE: Final = "persist_range"
QUARANTINE_EVENTS: Final = "quarantine_events"
QUARANTINE_RANGE: Final = "quarantine_range"
OPEN_FOLLOW_UPS: Final = "open_follow_ups"
SCORE_UNSCORED: Final = "score_unscored"
PERSIST_SCORES: Final = "persist_scores"
RECORD_DECISION: Final = "record_decision"
CHECK_PAYMENT: Final = "check_payment"

RESCORE_ID: Final = "rescore"
MORE_TO_RESCORE: Final = "more"

NOTE_CHARS_MAX: Final = 500
REVIEWER_CHARS_MAX: Final = 100


@dataclass(frozen=True)
class OffsetRange:
    """A contiguous range of offsets of one partition: from `start` up to, not including, `end`.

    The input of `IngestRange` and `QuarantineRange`. The records stay in Kafka.
    """

    topic: str
    partition: int
    start: int
    end: int

    @property
    def workflow_id(self) -> str:
        """The id of the range's workflow; see `domain.ranges`."""
        return ranges.workflow_id(self.topic, self.partition, self.start, self.end)


@dataclass(frozen=True)
class Refusal:
    """One event of a range that bronze did not accept; the other events were written.

    The coordinates are the raw record's. If the normalized record cannot be decoded, they are the
    normalized record's.
    """

    topic: str
    partition: int
    offset: int
    failure: str
    """A `domain.failures.FailureClass`."""
    reason: str
    """A text of ours that quotes nothing of the event."""


class Verdict(StrEnum):
    """The decision about a payment under review, by a person or by the timeout."""

    APPROVED = "approved"
    DECLINED = "declined"


class Outcome(StrEnum):
    """The outcome of a review or a recovery; also the search attribute `Outcome`."""

    PENDING = "pending"
    APPROVED = "approved"
    DECLINED = "declined"
    APPROVED_BY_TIMEOUT = "approved_by_timeout"
    DECLINED_BY_TIMEOUT = "declined_by_timeout"
    RECOVERED = "recovered"
    """The payment succeeded."""
    EXHAUSTED = "exhausted"
    """The payment failed again, and a further retry is not allowed or not worth it."""
    NOT_RETRIED = "not_retried"
    """The advised time passed without an attempt."""


@dataclass(frozen=True)
class Subject:
    """The payment that a review or a recovery is about, by the provider's ids."""

    provider: str
    payment_id: str
    event_id: str
    """The event that led to the review or recovery."""
    customer_id: str | None = None
    merchant_id: str | None = None


@dataclass(frozen=True)
class ReviewRequest:
    """A payment that a person has to review: the input of `FraudReview`."""

    subject: Subject
    fraud_score: float
    timeout_s: int
    on_timeout: Verdict = Verdict.DECLINED

    @property
    def workflow_id(self) -> str:
        """The id of the review's workflow: one for each payment."""
        return f"review/{self.subject.provider}/{self.subject.payment_id}"


@dataclass(frozen=True)
class Advice:
    """The retry model's advice for a failed payment (`domain.scoring`)."""

    strategy: str
    due_at: datetime
    attempts_left: int
    """Retries that the card network still allows in its window."""
    event_id: str
    """The event of the failed attempt."""
    rule: str | None = None
    """The card network's rule that the advice follows."""


@dataclass(frozen=True)
class RecoveryRequest:
    """A failed payment that may be retried: the input of `PaymentRecovery`."""

    subject: Subject
    advice: Advice
    is_delayed: bool = False
    """True if the workflow's start was delayed until its first look at bronze is due."""

    @property
    def workflow_id(self) -> str:
        """The id of the recovery's workflow: one for each payment."""
        return f"recovery/{self.subject.provider}/{self.subject.payment_id}"


@dataclass(frozen=True)
class FollowUps:
    """The workflows to start after a batch was written."""

    reviews: list[ReviewRequest] = field(default_factory=list)
    recoveries: list[RecoveryRequest] = field(default_factory=list)
    rescore: bool = False
    """True if rows of the batch have no scores because inference was down."""

    def __bool__(self) -> bool:
        return bool(self.reviews or self.recoveries or self.rescore)

    @property
    def requests(self) -> list[ReviewRequest | RecoveryRequest]:
        """The requests; each starts one workflow."""
        return [*self.reviews, *self.recoveries]


@dataclass(frozen=True)
class RangeOutcome:
    """The counts of a range: `events` = `inserted` + `duplicates` + `quarantined`."""

    events: int = 0
    inserted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    unscored: int = 0
    """How many of the inserted events have no scores yet."""
    reviews: int = 0
    recoveries: int = 0


@dataclass(frozen=True)
class Persisted:
    """The result of `persist_range`."""

    outcome: RangeOutcome
    refusals: list[Refusal] = field(default_factory=list)
    follow_ups: FollowUps = field(default_factory=FollowUps)


@dataclass(frozen=True)
class LateScores:
    """The result of `score_unscored`: scores for the oldest rows that have none."""

    events: int
    """How many rows have scores here; 0 if no row is left to score."""
    scores: str = ""
    """Packed scores as `score_range` returns them, in base64 because a dataclass becomes JSON."""
    follow_ups: FollowUps = field(default_factory=FollowUps)


@dataclass(frozen=True)
class RescoreProgress:
    """The input of `Rescore`: the work of the runs before this one."""

    scored: int = 0
    """Rows scored."""


@dataclass(frozen=True)
class ReviewAnswer:
    """The input of the signals `approve` and `decline`."""

    reviewer: str
    note: str = ""
    """The reason, for later readers. It is stored, so it must not contain personal data."""


@dataclass(frozen=True)
class ReviewState:
    """The result of a review, and of its query `state`."""

    outcome: Outcome
    fraud_score: float
    due_at: datetime
    reviewer: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class RecoveryState:
    """The result of a recovery, and of its query `state`."""

    outcome: Outcome
    strategy: str
    due_at: datetime
    """The time of the advised attempt."""
    attempts_left: int
    advised: int
    """Attempts advised so far."""


@dataclass(frozen=True)
class PaymentCheck:
    """The input of `check_payment`, which looks for later events of the payment."""

    subject: Subject
    event_id: str


@dataclass(frozen=True)
class PaymentNow:
    """The result of `check_payment`: the payment's state in bronze."""

    succeeded: bool = False
    failed_again: bool = False
    """True if a newer attempt failed and has a score."""
    advice: Advice | None = None
    """The advice for the newer failure; `None` if it must not be retried."""


@dataclass(frozen=True)
class Decision:
    """One row of `payment_decisions`; its key is `workflow_id` and `step`."""

    workflow_id: str
    step: int
    kind: str
    """`review` or `recovery`."""
    subject: Subject
    outcome: Outcome
    decided_at: datetime
    fraud_score: float | None = None
    strategy: str | None = None
    due_at: datetime | None = None
    attempts_left: int | None = None
    decided_by: str | None = None
    note: str | None = None
