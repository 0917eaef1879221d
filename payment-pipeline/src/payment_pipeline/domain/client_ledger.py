"""The client ledger: a sender's own file of its delivery attempts.

The audit compares it with what the pipeline stored. No component of the pipeline writes it, so it
is independent evidence. It has one JSON line for each attempt, in the order of the answers:

    {"event_id": "evt_1…" | null, "sha256": "<hex of the body>", "answer": 200 | "unknown",
     "at": "2026-01-31T12:00:00.123456+00:00", "fault": "duplicate" | null}

`event_id` is null when the sent body holds no readable id. `answer` is the HTTP status, or
`unknown` when no answer came (timeout, broken connection). A body with an unknown answer may be
stored once or not at all. `at` is the time of sending, RFC 3339 in UTC. `fault` names the fault
that the sender made on purpose (`simulator.faults.Fault`); it is null for a plain delivery. One
body may have many lines, for example after a 503 or as a duplicate. A body is acknowledged when any
of its lines has the answer 200. Two bodies may be one event, because the provider sends it to two
endpoints: the audit finds out from the raw topic, so no line states it.
"""

from typing import Final, Literal, NamedTuple

import orjson

UNKNOWN: Final = "unknown"


class Attempt(NamedTuple):
    """One line of the ledger: one attempt to deliver one body."""

    event_id: str | None
    sha256: str
    answer: int | Literal["unknown"]
    at: str
    fault: str | None


def dump(attempt: Attempt) -> bytes:
    """Writes an attempt as one line with its newline."""
    return orjson.dumps(attempt._asdict(), option=orjson.OPT_APPEND_NEWLINE)


def load(line: bytes) -> Attempt | None:
    """Reads one line; `None` for a truncated line, which a killed client may leave at the end."""
    try:
        read = orjson.loads(line)
        return Attempt(**read)
    except (orjson.JSONDecodeError, TypeError):
        return None
