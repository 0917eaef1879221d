"""The tally of a run: answers, latencies, and deliveries with a wrong answer."""

from array import array
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from time import perf_counter
from typing import BinaryIO, Final, Literal, NamedTuple

from payment_pipeline.domain.client_ledger import UNKNOWN, Attempt, dump

from .faults import Delivery, Destination

WRONG_ANSWERS_MAX: Final = 20
"""How many deliveries with a wrong answer are listed one by one."""
RECENT: Final = 2000
"""How many of the latest answers the live percentiles cover."""

Status = int | Literal["unknown"]


class WrongAnswer(NamedTuple):
    """A delivery with an answer that was not expected."""

    event_id: str | None
    event_type: str
    fault: str | None
    detail: str | None
    answer: Status
    expected: list[int]


@dataclass(slots=True)
class Tally:
    """The counts of a run. Each attempt is written to the ledger file as soon as it ends."""

    ledger: BinaryIO
    """An unbuffered file, so that written attempts survive a killed process."""
    deliveries: int = 0
    attempts: int = 0
    answers: Counter[Status] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong_answers: list[WrongAnswer] = field(default_factory=list)
    wrong_answer_count: int = 0
    gave_up: bool = False
    """Whether a delivery used all its attempts. Then nothing more is sent."""
    latencies_ms: "array[float]" = field(default_factory=lambda: array("f"))
    recent_ms: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    began: float = field(default_factory=perf_counter)
    _accepted: dict[Destination, set[bytes]] = field(
        default_factory=lambda: {destination: set() for destination in Destination}
    )

    def attempted(
        self, delivery: Delivery, digest: str, status: Status, at_s: float, took_ms: float
    ) -> None:
        """Count an attempt that ended, and write it to the ledger file."""
        self.attempts += 1
        self.answers[status] += 1
        if status != UNKNOWN:
            self.latencies_ms.append(took_ms)
            self.recent_ms.append(took_ms)
        at = datetime.fromtimestamp(at_s, UTC).isoformat()
        self.ledger.write(dump(Attempt(delivery.event_id, digest, status, at, delivery.fault)))

    def delivered(self, delivery: Delivery, digest: str, status: Status) -> None:
        """Count a delivery with its last answer."""
        self.deliveries += 1
        if delivery.fault is not None:
            self.faults[delivery.fault.value] += 1
        if status in delivery.answers:
            if status == 200:
                self._accepted[delivery.destination].add(bytes.fromhex(digest))
            return
        self.wrong_answer_count += 1
        if len(self.wrong_answers) < WRONG_ANSWERS_MAX:
            fault = delivery.fault.value if delivery.fault else None
            expected = sorted(delivery.answers)
            self.wrong_answers.append(
                WrongAnswer(
                    delivery.event_id, delivery.event_type, fault, delivery.detail, status, expected
                )
            )

    @property
    def seconds(self) -> float:
        """The duration of the run so far."""
        return perf_counter() - self.began

    def expected_destinations(self) -> dict[str, int]:
        """Count the distinct bodies that were answered 200, by their expected destination."""
        return {
            destination.value: len(bodies)
            for destination, bodies in self._accepted.items()
            if destination is not Destination.REFUSED
        }


def digest_of(body: bytes) -> str:
    """Return the SHA-256 in lower-case hex, as in the gateway's Kafka header."""
    return sha256(body).hexdigest()


def percentiles_ms(values: "array[float] | deque[float]") -> dict[str, float]:
    """Return the 50th, 95th and 99th percentile and the maximum, by nearest rank.

    The result is empty if there are no values.
    """
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    ranks = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(ordered[round(last * rank)], 2) for name, rank in ranks.items()}
