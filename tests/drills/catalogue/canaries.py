"""Drill 12: personal data in every possible field must not leak out of the raw store."""

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
from local_stack import dagster, stack
from local_stack.component import LAKEHOUSE
from local_stack.components import superset
from orchestration_dagster.lake.lake_tables import TABLES
from orchestration_dagster.lake.loader import load
from payment_operations import stack_start
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.signing import Forgery, forged

TRACED: Final = ("gateway", "normalizer", "dispatcher", "worker", "inference")
"""The components that send spans."""
NEEDED: Final = (*TRACED, "seaweedfs")
SPANS_SENT_S: Final = 6.0
"""Longer than the interval at which the SDK sends spans (5 s)."""
EVENTS_A_ROUND: Final = 120
FAULTY_EVERY: Final = 10
"""One in this many events is also sent malformed, unmodelled, hostile and forged."""
WHOLE_ROUNDS: Final = 2
"""From this many rounds on, Dagster also builds the marts, and Superset shows them."""
MICRO_BATCH: Final = "micro_batch"
"""The job that brings all events to the marts. Automation starts the job when Dagster starts."""
COMPARISON: Final = "bronze_equals_lake"
"""The hourly job that compares the lake with bronze and the topics. The drill starts it at once."""
NEWEST_RUN: Final = """
query ($job: String!) {
  runsOrError(filter: {pipelineName: $job}, limit: 1) { ... on Runs { results { runId } } } }
"""
SCHEDULED: Final = ("dagster-daemon", "dagster-webserver", "dagster-code", "superset")
"""Stopped at the end. Otherwise each minute Dagster loads and models the events of later drills."""
JOB_S_MAX: Final = 600.0
REQUEST_TIMEOUT_S: Final = 10.0


def run(context: DrillContext) -> Findings:
    """Send events with marks, wait until all are stored, and search each location for the marks."""
    findings = Findings()
    marked = canary.marks(context.rng)
    with collector() as spans:
        settings = context.settings.model_copy(update={"otlp_endpoint": spans.endpoint})
        stack_start.up(settings, only=NEEDED)
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
            searched_in |= _start_dashboards(context, settings)
        spans.wait_for_quiet(SPANS_SENT_S)
        shown = leak_search.DASHBOARDS in searched_in
        _search(settings, marked, spans, searched_in, findings, shown=shown)
        findings.control_failed = asyncio.run(_control(context, marked, spans, shown=shown))
        stack.stop(settings, SCHEDULED)
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
        kept > 0, "the quarantine has no body with the marks, so the search proves nothing"
    )
    searched = asyncio.run(leak_search.search(settings, marked, spans, shown=shown))
    for hits in searched:
        findings.require(hits.hits == 0, f"{hits.location}: {hits.hits} contain personal data")
    for name in sorted(searched_in - {hits.location for hits in searched if hits.searched}):
        findings.require(False, f"{name}: the location was empty, so the search proves nothing")
    silent = {f"payments-{name}" for name in TRACED} - {span.service for span in spans.spans}
    findings.require(not silent, f"no span arrived from {', '.join(sorted(silent))}")
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
            canary.hostile_with_marks(event, marked),
            (canary.unmodelled_with_marks(event, marked),),
            # The same id with another body is a conflict, which ends in the quarantine.
            (sent._replace(body=sent.body + b" "),),
        )
        for other in others:
            await sender.send(other)
        for forgery in Forgery:
            signed = forged(forgery, sent.body, secret, int(time()))
            await sender.send(sent, signed=signed or "", body=sent.body + b"\n")
    for event in canary.of_every_kind():
        await sender.send(canary.with_marks(event, marked))
        for other in canary.hostile_with_marks(event, marked):
            await sender.send(other)
    sender.close()
    await _send_in_the_head(context.settings, marked)


async def _send_in_the_head(settings: Settings, marked: Marks) -> None:
    """Send the marks in path, query and headers: they could reach access logs or metric labels."""
    base = f"http://{settings.host}:{settings.gateway_port}"
    headers = {"User-Agent": marked.name, "X-Forwarded-For": marked.secret, "From": marked.email}
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        for path in (marked.email, f"stripe?email={marked.email}", f"{marked.card_number}/x"):
            async with session.post(f"{base}/webhooks/{path}", data=" ".join(marked)) as answer:
                await answer.read()


def _start_dashboards(context: DrillContext, settings: Settings) -> frozenset[str]:
    """Start Superset if it is installed, and return the location that the search then covers."""
    if not superset.installed():
        context.progress(
            "The dashboards are not searched, because Superset is not installed. "
            "Run `make setup-superset`."
        )
        return frozenset()
    stack_start.up(settings, only=("superset",))
    return frozenset({leak_search.DASHBOARDS})


async def _run_dagster(settings: Settings) -> None:
    """Run Dagster's jobs, which write logs, events and metadata."""
    before = await _newest_run(settings, MICRO_BATCH)
    await asyncio.to_thread(stack_start.up, settings, groups=(LAKEHOUSE,))
    async with asyncio.timeout(JOB_S_MAX):
        await _success(settings, await _next_run(settings, before))
        await _success(settings, await dagster.launch(settings, COMPARISON))


async def _next_run(settings: Settings, before: str | None) -> str:
    while True:
        run_id = await _newest_run(settings, MICRO_BATCH)
        if run_id not in (None, before):
            return str(run_id)
        await asyncio.sleep(1)


async def _newest_run(settings: Settings, job: str) -> str | None:
    """Return the id of the newest run of a job, or None without a run or an answer."""
    found = (await dagster.ask(settings, NEWEST_RUN, {"job": job})).get("runsOrError", {})
    return next((str(run["runId"]) for run in found.get("results", ())), None)


async def _success(settings: Settings, run_id: str) -> None:
    while (status := await dagster.run_status(settings, run_id)) != "SUCCESS":
        if status in ("FAILURE", "CANCELED"):
            raise RuntimeError(f"Dagster's run {run_id} has the status {status}.")
        await asyncio.sleep(1)


def _failed_checks(settings: Settings) -> list[str]:
    """Return the asset checks that failed. A run can succeed although one of its checks fails.

    Checks of a later run, which automation has started meanwhile, may still be planned.
    """
    with psycopg.connect(settings.dagster_storage) as connection:
        found = connection.execute(
            "SELECT DISTINCT check_name FROM asset_check_executions"
            " WHERE execution_status = 'FAILED'"
        )
        return [name for (name,) in found]


def _bodies_with(settings: Settings, marked: Marks) -> int:
    """Count the dead letters with the name in their signed bytes, which belong to the raw store."""
    with psycopg.connect(settings.dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM payment_events_quarantine WHERE position(%s::bytea IN body) > 0",
            (marked.name.encode(),),
        ).fetchone()
    return row[0] if row else 0


async def _control(context: DrillContext, marked: Marks, spans: Collector, *, shown: bool) -> bool:
    """Plant the secret in each kind of location, and return whether the search finds all."""
    async with leak_search.planted(context.settings, marked.secret, spans, shown=shown):
        found = await leak_search.search(context.settings, marked, spans, shown=shown)
    seen = {hits.location: hits.hits for hits in found if hits.hits}
    context.progress(f"control, the secret in each kind of location: found in {', '.join(seen)}")
    wanted = leak_search.PLANTED_IN | ({leak_search.DASHBOARDS} if shown else set())
    return seen.keys() >= wanted


DRILL = Drill(
    number=12,
    promise="Personal data in every possible field does not leak out of the raw store.",
    needs=("postgres",),  # the drill starts the others once its span collector listens
    run=run,
    full_rounds=WHOLE_ROUNDS,
)
