"""Drill 12: a person in every field that may hold one, and none outside the raw store."""

import asyncio
from itertools import chain
from time import time
from typing import Final

import aiohttp
import psycopg

from drills import canary, leak_search
from drills.canary import Marks
from drills.drill import Drill, DrillContext
from drills.event_accounting import account_for_events
from drills.findings import Findings
from drills.sender import Sender, modelled_events
from drills.span_collector import Collector, collector
from local_stack import dagster
from local_stack.component import LAKEHOUSE
from local_stack.components import superset
from orchestration_dagster.lake.lake_tables import TABLES
from orchestration_dagster.lake.loader import load
from payment_operations import stack_start
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.signing import Forgery, forged

TELLING: Final = ("gateway", "normalizer", "dispatcher", "worker", "inference")
"""Those that send spans."""
TRACED: Final = (*TELLING, "seaweedfs")
SPANS_SENT_S: Final = 6.0
"""A process sends its spans every 5 s, as the SDK has it."""
EVENTS_A_ROUND: Final = 120
FAULTY_EVERY: Final = 10
"""So many genuine events to each that is also sent malformed, unmodelled, hostile and forged."""
WHOLE_ROUNDS: Final = 2
"""From so many rounds on Dagster builds the marts too, and Superset shows them."""
MICRO_BATCH: Final = "micro_batch"
"""Brings everything to the marts; automation launches it once Dagster is up."""
COMPARISON: Final = "bronze_equals_lake"
"""Holds it against bronze and the topics: hourly, and here at once."""
JOB_S_MAX: Final = 600.0
ANSWERED_S: Final = 10.0


def run(context: DrillContext) -> Findings:
    """Plant, let everything through, search; then plant one in each place, and search again."""
    findings = Findings()
    marked = canary.marks(context.rng)
    with collector() as spans:
        settings = context.settings.model_copy(update={"otlp_endpoint": spans.endpoint})
        stack_start.up(settings, only=TRACED)
        asyncio.run(_send(context, marked))
        account_for_events(context, context.folder / "ledger.jsonl", findings)
        for table in TABLES:
            load(settings, table)
        searched_in = leak_search.LOCATIONS
        if context.rounds >= WHOLE_ROUNDS:
            asyncio.run(_run_dagster(settings))
            for check in _failed_checks(settings):
                findings.require(False, f"Dagster's check {check} failed")
            searched_in |= leak_search.LOCATIONS_WITH_MARTS
            searched_in |= _show(context, settings)
        spans.wait_for_quiet(SPANS_SENT_S)
        shown = leak_search.DASHBOARDS in searched_in
        _search(settings, marked, spans, searched_in, findings, shown=shown)
        findings.control_failed = asyncio.run(_control(context, marked, spans, shown=shown))
    return findings


def _search(
    settings: Settings,
    marked: Marks,
    spans: Collector,
    searched_in: frozenset[str],
    findings: Findings,
    *,
    shown: bool,
) -> None:
    kept = _bodies_with(settings, marked)
    findings.require(
        kept > 0, "the marks are not even in the quarantine's bodies: nothing is shown"
    )
    searched = asyncio.run(leak_search.search(settings, marked, spans, shown=shown))
    for hits in searched:
        findings.require(hits.hits == 0, f"{hits.location}: {hits.hits} hold a person's data")
    for name in sorted(searched_in - {hits.location for hits in searched if hits.searched}):
        findings.require(False, f"{name}: nothing was there to be searched")
    silent = {f"payments-{name}" for name in TELLING} - {span.service for span in spans.spans}
    findings.require(not silent, f"no span came of {', '.join(sorted(silent))}")
    findings.figures = {
        "bodies_with_marks": kept,
        "places_searched": len(searched),
        "rows_searched": sum(hits.searched for hits in searched),
        "spans_searched": len(spans.spans),
    }


async def _send(context: DrillContext, marked: Marks) -> None:
    sender = Sender(context.settings, context.folder / "ledger.jsonl")
    secret = context.settings.signing_secrets(providers()["stripe"])[0]
    for number, event in enumerate(modelled_events(context, EVENTS_A_ROUND * context.rounds)):
        sent = canary.with_marks(event, marked)
        await sender.send(sent)
        if number % FAULTY_EVERY:
            continue
        others = chain(
            canary.malformed_with_marks(event, marked),
            (canary.unmodelled_with_marks(event, marked), canary.hostile_with_marks(event, marked)),
            # The same id on another body: a conflict, which ends in the quarantine.
            (sent._replace(body=sent.body + b" "),),
        )
        for other in others:
            await sender.send(other)
        for forgery in Forgery:
            signed = forged(forgery, sent.body, secret, int(time()))
            await sender.send(sent, signed=signed or "", body=sent.body + b"\n")
    for event in canary.of_every_kind():
        await sender.send(canary.with_marks(event, marked))
    sender.close()
    await _send_in_the_head(context.settings, marked)


async def _send_in_the_head(settings: Settings, marked: Marks) -> None:
    """The marks in the path, the query and the headers: access logs and metrics' labels."""
    base = f"http://{settings.host}:{settings.gateway_port}"
    headers = {"User-Agent": marked.name, "X-Forwarded-For": marked.secret, "From": marked.email}
    timeout = aiohttp.ClientTimeout(total=ANSWERED_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        for path in (marked.email, f"stripe?email={marked.email}", f"{marked.card_number}/x"):
            async with session.post(f"{base}/webhooks/{path}", data=" ".join(marked)) as answer:
                await answer.read()


def _show(context: DrillContext, settings: Settings) -> frozenset[str]:
    """Bring the dashboards up, where there can be any; what is to be searched of them."""
    if not superset.installed():
        context.progress(
            "the dashboards are not searched: no Superset is here (make setup-superset)"
        )
        return frozenset()
    stack_start.up(settings, only=("superset",))
    return frozenset({leak_search.DASHBOARDS})


async def _run_dagster(settings: Settings) -> None:
    """Its jobs, with its own logs, events and metadata of them."""
    before = await dagster.newest_run(settings, MICRO_BATCH)
    await asyncio.to_thread(stack_start.up, settings, groups=(LAKEHOUSE,))
    async with asyncio.timeout(JOB_S_MAX):
        await _success(settings, await _next_run(settings, before))
        await _success(settings, await dagster.launch(settings, COMPARISON))


async def _next_run(settings: Settings, before: str | None) -> str:
    while True:
        run_id = await dagster.newest_run(settings, MICRO_BATCH)
        if run_id not in (None, before):
            return str(run_id)
        await asyncio.sleep(1)


async def _success(settings: Settings, run_id: str) -> None:
    while (status := await dagster.run_status(settings, run_id)) != "SUCCESS":
        if status in ("FAILURE", "CANCELED"):
            raise RuntimeError(f"Dagster's run {run_id} is {status}")
        await asyncio.sleep(1)


def _failed_checks(settings: Settings) -> list[str]:
    """Those that did not pass; the runs' success says nothing of them.

    Others are planned, of the run that automation has begun meanwhile.
    """
    with psycopg.connect(settings.dagster_storage) as connection:
        found = connection.execute(
            "SELECT DISTINCT check_name FROM asset_check_executions"
            " WHERE execution_status = 'FAILED'"
        )
        return [name for (name,) in found]


def _bodies_with(settings: Settings, marked: Marks) -> int:
    """How many dead letters have the name in their signed bytes, where it may be."""
    with psycopg.connect(settings.dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM payment_events_quarantine WHERE position(%s::bytea IN body) > 0",
            (marked.name.encode(),),
        ).fetchone()
    return row[0] if row else 0


async def _control(context: DrillContext, marked: Marks, spans: Collector, *, shown: bool) -> bool:
    """Whether the search finds the secret once it is planted in each kind of place."""
    async with leak_search.planted(context.settings, marked.secret, spans, shown=shown):
        found = await leak_search.search(context.settings, marked, spans, shown=shown)
    seen = {hits.location: hits.hits for hits in found if hits.hits}
    context.progress(f"control, one planted in each kind of place: found in {', '.join(seen)}")
    wanted = leak_search.PLANTED_IN | ({leak_search.DASHBOARDS} if shown else set())
    return seen.keys() >= wanted


DRILL = Drill(
    number=12,
    promise="A person's data in every field that may hold it: none outside the raw store.",
    needs=("postgres",),  # the others are brought up with a collector of their spans
    run=run,
    full_rounds=WHOLE_ROUNDS,
)
