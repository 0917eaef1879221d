"""What do workflows and activities say to each other? Coordinates, counts and ids; never a body.

Plain dataclasses with JSON-able fields: they are stored in Temporal's histories, which must stay
tiny and free of personal data. A field that is added has a default, so that old histories replay.
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
    """A claim check: these offsets of one partition, `start` included, `end` not."""

    topic: str
    partition: int
    start: int
    end: int

    @property
    def workflow_id(self) -> str:
        """See `domain.ranges`."""
        return ranges.workflow_id(self.topic, self.partition, self.start, self.end)


@dataclass(frozen=True)
class Refusal:
    """One event of a range that bronze could not take; the others went on.

    The coordinates are the raw record's, or the normalized record's own where it can't be decoded.
    """

    topic: str
    partition: int
    offset: int
    failure: str
    """A `domain.failures.FailureClass`."""
    reason: str
    """In words of our own, without any of the event's."""


class Verdict(StrEnum):
    """What a person, or the timeout, says of a payment under review."""

    APPROVED = "approved"
    DECLINED = "declined"


class Outcome(StrEnum):
    """The search attribute `Outcome` of a review or a recovery."""

    PENDING = "pending"
    APPROVED = "approved"
    DECLINED = "declined"
    APPROVED_BY_TIMEOUT = "approved_by_timeout"
    DECLINED_BY_TIMEOUT = "declined_by_timeout"
    RECOVERED = "recovered"
    """The payment succeeded."""
    EXHAUSTED = "exhausted"
    """It failed again, and no further retry is allowed or worth it."""
    NOT_RETRIED = "not_retried"
    """The advised time passed, and nobody tried."""


@dataclass(frozen=True)
class Subject:
    """Whose payment it is, by the provider's ids."""

    provider: str
    payment_id: str
    event_id: str
    """The event that led here."""
    customer_id: str | None = None
    merchant_id: str | None = None


@dataclass(frozen=True)
class ReviewRequest:
    """A payment for a person to look at."""

    subject: Subject
    fraud_score: float
    timeout_s: int
    on_timeout: Verdict = Verdict.DECLINED

    @property
    def workflow_id(self) -> str:
        """One review a payment."""
        return f"review/{self.subject.provider}/{self.subject.payment_id}"


@dataclass(frozen=True)
class Advice:
    """When the retry model says to try a failed payment again (`domain.scoring`)."""

    strategy: str
    due_at: datetime
    attempts_left: int
    """Re-attempts that the card network still allows in its window."""
    event_id: str
    """The failed attempt that it is about."""
    rule: str | None = None
    """The network's rule that it follows."""


@dataclass(frozen=True)
class RecoveryRequest:
    """A failed payment that may still succeed."""

    subject: Subject
    advice: Advice
    is_delayed: bool = False
    """Its start waited for the time of the first look, so that is due."""

    @property
    def workflow_id(self) -> str:
        """One recovery a payment."""
        return f"recovery/{self.subject.provider}/{self.subject.payment_id}"


@dataclass(frozen=True)
class FollowUps:
    """What a batch leads to beyond its rows."""

    reviews: list[ReviewRequest] = field(default_factory=list)
    recoveries: list[RecoveryRequest] = field(default_factory=list)
    rescore: bool = False
    """Inference was down: rows of the batch wait for their scores."""

    def __bool__(self) -> bool:
        return bool(self.reviews or self.recoveries or self.rescore)

    @property
    def requests(self) -> list[ReviewRequest | RecoveryRequest]:
        """A workflow each."""
        return [*self.reviews, *self.recoveries]


@dataclass(frozen=True)
class RangeOutcome:
    """What became of a range. `events` = inserted + duplicates + quarantined."""

    events: int = 0
    inserted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    unscored: int = 0
    """Of the inserted: those that wait for their scores."""
    reviews: int = 0
    recoveries: int = 0


@dataclass(frozen=True)
class Persisted:
    """`persist_range`'s answer."""

    outcome: RangeOutcome
    refusals: list[Refusal] = field(default_factory=list)
    follow_ups: FollowUps = field(default_factory=FollowUps)


@dataclass(frozen=True)
class LateScores:
    """`score_unscored`'s answer: scores for the oldest rows that have none."""

    events: int
    """None: there is nothing left to score."""
    scores: str = ""
    """As of `score_range`, in base64, since a dataclass travels as JSON."""
    follow_ups: FollowUps = field(default_factory=FollowUps)


@dataclass(frozen=True)
class ReviewAnswer:
    """The argument of a review's signals."""

    reviewer: str
    note: str = ""
    """For the next reader; it is stored, so it is no place for personal data."""


@dataclass(frozen=True)
class ReviewState:
    """The answer of a review's query, and its result."""

    outcome: Outcome
    fraud_score: float
    due_at: datetime
    reviewer: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class RecoveryState:
    """The answer of a recovery's query, and its result."""

    outcome: Outcome
    strategy: str
    due_at: datetime
    """When the advised attempt is due."""
    attempts_left: int
    advised: int
    """How many attempts were advised so far."""


@dataclass(frozen=True)
class PaymentCheck:
    """`check_payment`'s question: what came after this attempt?"""

    subject: Subject
    event_id: str


@dataclass(frozen=True)
class PaymentNow:
    """`check_payment`'s answer, from bronze."""

    succeeded: bool = False
    failed_again: bool = False
    """A newer attempt failed, and it is scored."""
    advice: Advice | None = None
    """What the newer failure's score advises; `None`: no further retry."""


@dataclass(frozen=True)
class Decision:
    """One row of `payment_decisions`. Key: the workflow and the step within it."""

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
