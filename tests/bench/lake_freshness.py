"""Measures the time from a POST to the fact row that a dashboard reads, with automation only.

The traffic of a small company goes in, while repeated queries on Trino look for its events in the
facts. An event counts once its row and the row of its payment are there.
"""

import math
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import psycopg
from trino.exceptions import TrinoUserError

from bench.figure import Figure
from bench.whole_way import simulate, simulation
from payment_pipeline.adapters import trino
from payment_pipeline.domain import client_ledger
from payment_pipeline.settings import Settings
from support import commands

RATE: Final = 5
"""Events/s."""
EVENTS: Final = 1500
"""Five minutes of events."""
P95_S_MAX: Final = 120.0
WAIT_S_MAX: Final = 600.0
"""Longest wait for the last event, and for the first full build of the marts."""
POLL_S: Final = 2.0
MODELLED: Final = "SELECT event_id FROM payment_events WHERE event_id = ANY(%s)"
FACTS: Final = """
SELECT DISTINCT events.event_id
FROM marts.fct_payment_events AS events
LEFT JOIN marts.fct_payments AS payments ON events.payment_key = payments.payment_key
WHERE
    events.received_at >= TIMESTAMP '{since:%Y-%m-%d %H:%M:%S} UTC'
    AND (events.payment_key IS NULL OR payments.payment_key IS NOT NULL)
"""


def freshness_figures(settings: Settings) -> list[Figure]:
    """Measure on a whole stack with the lakehouse that is up and idle."""
    ledgers = settings.var / "bench-ledgers"
    ledgers.mkdir(exist_ok=True)
    history = ledgers / "history.jsonl"
    since = datetime.now(UTC)
    simulate(settings, history, events=1000, seed=1)
    _wait_for(settings, since, set(_posted_at_s(settings, history)))
    ages_s = _ages_s(settings, ledgers / "fresh.jsonl")
    middle, p95 = median(ages_s), ages_s[math.ceil(len(ages_s) * 0.95) - 1]
    print(f"POST to fact: median {middle:.0f} s, latest {ages_s[-1]:.0f} s", file=sys.stderr)
    return [
        Figure(
            name=f"POST to fact row p95 at {RATE} events/s, by automation",
            value=p95,
            unit="s",
            reference="limit",
            reference_value=P95_S_MAX,
            ratio=p95 / P95_S_MAX,
            target=1,
            met=p95 < P95_S_MAX,
        )
    ]


def _ages_s(settings: Settings, ledger: Path) -> list[float]:
    """Return the sorted seconds from the POST of each event until it was first in the facts."""
    arguments = simulation(ledger, events=EVENTS, seed=2, rate=RATE)
    since = datetime.now(UTC)
    seen_at_s: dict[str, float] = {}
    with commands.start(settings, *arguments) as sending:
        while sending.poll() is None:
            _look(settings, since, seen_at_s)
            time.sleep(POLL_S)
    posted_at_s = _posted_at_s(settings, ledger)
    _wait_for(settings, since, set(posted_at_s), seen_at_s)
    return sorted(seen_at_s[event_id] - at_s for event_id, at_s in posted_at_s.items())


def _wait_for(
    settings: Settings,
    since: datetime,
    events: set[str],
    seen_at_s: dict[str, float] | None = None,
) -> None:
    """Wait until every event is in the facts.

    Raises:
        RuntimeError: some events are still missing after `WAIT_S_MAX`.
    """
    seen_at_s = {} if seen_at_s is None else seen_at_s
    deadline = time.monotonic() + WAIT_S_MAX
    while missing := events - seen_at_s.keys():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(missing)} of {len(events)} events are not in the facts.")
        time.sleep(POLL_S)
        _look(settings, since, seen_at_s)


def _look(settings: Settings, since: datetime, seen_at_s: dict[str, float]) -> None:
    """Record the time of this query for each event that is new in the facts."""
    try:
        with trino.connect(settings, application="bench") as connection:
            found = connection.cursor().execute(FACTS.format(since=since)).fetchall()
    except TrinoUserError:
        return  # before the first run there are no marts
    now_s = time.time()
    for (event_id,) in found:
        seen_at_s.setdefault(event_id, now_s)


def _posted_at_s(settings: Settings, ledger: Path) -> dict[str, float]:
    """Return when each event in bronze was first sent, in seconds since the epoch.

    Unmodelled events are left out, because they have no fact rows.

    Raises:
        RuntimeError: the audit found lost or duplicated events.
    """
    arguments = "audit", "--through", "bronze", "--client-ledger", str(ledger), "--json"
    audited = commands.call(settings, *arguments)
    if audited.returncode:
        raise RuntimeError(audited.stdout + audited.stderr)
    attempts = [client_ledger.load(line) for line in ledger.read_bytes().splitlines()]
    posted: dict[str, float] = {}
    for attempt in attempts:
        if attempt and attempt.event_id and attempt.answer == 200:
            posted.setdefault(attempt.event_id, datetime.fromisoformat(attempt.at).timestamp())
    with psycopg.connect(settings.dsn) as connection:
        modelled = connection.execute(MODELLED, (list(posted),)).fetchall()
    return {event_id: posted[event_id] for (event_id,) in modelled}
