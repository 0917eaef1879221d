"""Repairs poisoned bodies with patches, as an operator would, and redrives the dead letters.

A body that Python's `json` can read can be patched. For the other bodies, only the provider has a
good copy.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
import psycopg

from drills.findings import Findings
from payment_pipeline.dlq import dead_letter_clients, json_patch
from payment_pipeline.dlq.dead_letter_store import Closer
from payment_pipeline.dlq.redrive import Redrive, Request, Result
from payment_pipeline.dlq.redrive_plan import Outcome
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.shapes import Json

Operations = list[dict[str, Any]]

LETTERS: Final = (
    "SELECT id, body_sha256 FROM payment_events_quarantine "
    "WHERE body_sha256 = ANY (%s) AND resolution IS NULL"
)
ROWS: Final = "SELECT count(*) FROM payment_events WHERE event_id = ANY (%s)"
CLOSER: Final = Closer("drill", "repaired as an operator would")


class PoisonedBody(NamedTuple):
    """A bad body, and the good body that it was made from."""

    kind: str
    event_id: str
    body: bytes
    genuine: bytes


def _added(path: str, value: object) -> Callable[[Json], Operations]:
    return lambda _genuine: [{"op": "add", "path": path, "value": value}]


def _restored(field: str) -> Callable[[Json], Operations]:
    return lambda genuine: [{"op": "add", "path": f"/{field}", "value": genuine[field]}]


def _without_description(_genuine: Json) -> Operations:
    return [{"op": "remove", "path": "/data/object/description"}]


def _unpacked(_genuine: Json) -> Operations:
    return [{"op": "copy", "from": "/0", "path": ""}]


_AMOUNT: Final = _added("/data/object/amount", 1250)
_CURRENCY: Final = _added("/data/object/currency", "eur")
PATCHES: Final[Mapping[str, Callable[[Json], Operations]]] = {
    "array": _unpacked,
    "no_id": _restored("id"),
    "no_data": _restored("data"),
    "nul": _without_description,
    "lone_surrogate": _without_description,
    "no_currency": _CURRENCY,
    "unknown_currency": _CURRENCY,
    **dict.fromkeys(
        ("nan", "infinite", "no_amount", "text_amount", "fractional_amount", "huge_amount"), _AMOUNT
    ),
}
"""The patch that repairs each kind of poison, given the good body."""


async def redrive_repaired(
    settings: Settings, given: Mapping[str, PoisonedBody], findings: Findings
) -> None:
    """Redrive every dead letter that a patch can repair, and require one row in bronze for each.

    Args:
        settings: settings of a stack with the dead letters in its quarantine.
        given: bodies that were sent and rejected, by the SHA-256 of the body.
        findings: receives the requirements that do not hold.
    """
    fixable = {digest: bad for digest, bad in given.items() if _readable(bad.body)}
    for bad in fixable.values():
        findings.require(bad.kind in PATCHES, f"no patch in PATCHES repairs {bad.kind}")
    by_patch = defaultdict[str, list[int]](list)
    with psycopg.connect(settings.dsn) as connection:
        for letter, digest in connection.execute(LETTERS, [list(fixable)]):
            bad = fixable[digest]
            if bad.kind in PATCHES:
                operations = PATCHES[bad.kind](orjson.loads(bad.genuine))
                by_patch[json.dumps(operations)].append(letter)
    results = await _redriven(settings, by_patch)
    for result in results:
        findings.require(
            result.outcome is Outcome.WRITTEN,
            f"a repaired {result.failure} dead letter is {result.outcome}: {result.reason}",
        )
    written = sum(result.outcome is Outcome.WRITTEN for result in results)
    with psycopg.connect(settings.dsn) as connection:
        ids = [bad.event_id for bad in fixable.values()]
        rows = (connection.execute(ROWS, [ids]).fetchone() or (0,))[0]
    findings.require(rows == len(fixable), f"bronze has {rows} of {len(fixable)} repaired events")
    findings.figures |= {"fixable": len(fixable), "redriven": written}


async def _redriven(settings: Settings, by_patch: Mapping[str, Sequence[int]]) -> list[Result]:
    results: list[Result] = []
    async with (
        dead_letter_clients.quarantine(settings) as pool,
        dead_letter_clients.alone(pool),
        dead_letter_clients.redrive_stores(settings, pool) as stores,
    ):
        for operations, letters in by_patch.items():
            request = Request(CLOSER, json_patch.parse(operations), rate=None)
            redrive = Redrive(stores, request, lambda _settled, _sent: None)
            results += await redrive.run(letters)
    return results


def _readable(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
