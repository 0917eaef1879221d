"""What was answered, how fast, and was it what should have been?"""

from array import array
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from time import perf_counter
from typing import BinaryIO, Final, Literal, NamedTuple

from payment_pipeline.domain.client_ledger import UNKNOWN, Attempt, dump

from .faults import Delivery, Place

SURPRISES_MAX: Final = 20
"""How many deliveries with a wrong answer are told one by one."""
RECENT: Final = 2000
"""How many answers the live percentiles look back on."""

Status = int | Literal["unknown"]


class Surprise(NamedTuple):
    """A delivery that got another answer than it should have."""

    event_id: str | None
    event_type: str
    fault: str | None
    detail: str | None
    answer: Status
    expected: list[int]


@dataclass(slots=True)
class Tally:
    """Everything about a run so far; each attempt goes to the ledger file as it ends."""

    ledger: BinaryIO
    """Unbuffered: what is written stays, however the process ends."""
    deliveries: int = 0
    attempts: int = 0
    answers: Counter[Status] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    surprises: list[Surprise] = field(default_factory=list)
    surprise_count: int = 0
    gave_up: bool = False
    """A delivery has used all its tries: the target is gone, and nothing more is sent."""
    latencies_ms: "array[float]" = field(default_factory=lambda: array("f"))
    recent_ms: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    began: float = field(default_factory=perf_counter)
    _accepted: dict[Place, set[bytes]] = field(
        default_factory=lambda: {place: set() for place in Place}
    )

    def attempted(
        self, delivery: Delivery, digest: str, status: Status, at_s: float, took_ms: float
    ) -> None:
        """One attempt ended."""
        self.attempts += 1
        self.answers[status] += 1
        if status != UNKNOWN:
            self.latencies_ms.append(took_ms)
            self.recent_ms.append(took_ms)
        at = datetime.fromtimestamp(at_s, UTC).isoformat()
        self.ledger.write(dump(Attempt(delivery.event_id, digest, status, at, delivery.fault)))

    def delivered(self, delivery: Delivery, digest: str, status: Status) -> None:
        """One delivery got its last answer."""
        self.deliveries += 1
        if delivery.fault is not None:
            self.faults[delivery.fault.value] += 1
        if status in delivery.answers:
            if status == 200:
                self._accepted[delivery.place].add(bytes.fromhex(digest))
            return
        self.surprise_count += 1
        if len(self.surprises) < SURPRISES_MAX:
            fault = delivery.fault.value if delivery.fault else None
            expected = sorted(delivery.answers)
            self.surprises.append(
                Surprise(
                    delivery.event_id, delivery.event_type, fault, delivery.detail, status, expected
                )
            )

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return perf_counter() - self.began

    def expected_places(self) -> dict[str, int]:
        """How many distinct bodies that were answered 200 should be in which place."""
        return {
            place.value: len(bodies)
            for place, bodies in self._accepted.items()
            if place is not Place.NOWHERE
        }


def digest_of(body: bytes) -> str:
    """Lower-case hex SHA-256, as the gateway's header has it."""
    return sha256(body).hexdigest()


def percentiles_ms(values: "array[float] | deque[float]") -> dict[str, float]:
    """The 50th, 95th and 99th percentile and the maximum, by nearest rank; empty without values."""
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    ranks = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(ordered[round(last * rank)], 2) for name, rank in ranks.items()}
