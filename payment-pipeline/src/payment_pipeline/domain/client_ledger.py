"""What a client wrote down of its own deliveries: the witness that the audit can't talk to.

A file of JSON lines, one line for every delivery attempt, in the order of the answers:

    {"event_id": "evt_1…" | null, "sha256": "<hex of the body>", "answer": 200 | "unknown",
     "at": "2026-01-31T12:00:00.123456+00:00", "fault": "duplicate" | null}

`event_id` is null where the body, as sent, holds no readable one. `answer` is the HTTP status, or
`unknown` where none came (timeout, broken connection): such a body may be present or absent, never
twice. `at` is when the attempt was sent, RFC 3339 in UTC. `fault` names what was wrong with the
delivery on purpose (`simulator.faults.Fault`); null for a plain one. One body may have many lines:
a 503 that was tried again, a duplicate. A body counts as acknowledged when any of them says 200.
"""

from typing import Final, Literal, NamedTuple

import orjson

UNKNOWN: Final = "unknown"


class Attempt(NamedTuple):
    """One line: one attempt to deliver one body."""

    event_id: str | None
    sha256: str
    answer: int | Literal["unknown"]
    at: str
    fault: str | None


def dump(attempt: Attempt) -> bytes:
    """The attempt as one line, its newline included."""
    return orjson.dumps(attempt._asdict(), option=orjson.OPT_APPEND_NEWLINE)


def load(line: bytes) -> Attempt | None:
    """Read one line; `None` for one that is cut short, as the last of a killed client may be."""
    try:
        read = orjson.loads(line)
        return Attempt(**read)
    except (orjson.JSONDecodeError, TypeError):
        return None
