"""Whether the audit names what is wrong in the lake and the facts, and excuses what is to come."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from orchestration_dagster.lake.lake_tables import NAMESPACE
from orchestration_dagster.lake.watermark import Watermark
from payment_pipeline.bronze import contract
from payment_pipeline.ledger import audited_lakehouse
from payment_pipeline.ledger.reconciliation import Audit, Finding, reconcile
from payment_pipeline.ledger.stage_tally import UNSTATED, Money, Seen, day_of
from payment_pipeline.ledger.stages import LAKEHOUSE, Reading, Stage, tables_only

EUR_5 = Money("EUR", 500)
WAY = (Stage.RAW, Stage.NORMALIZED, Stage.BRONZE, Stage.LAKE, Stage.FACTS)
LETTER = (Stage.RAW, Stage.REJECTED, Stage.QUARANTINE, Stage.LAKE_QUARANTINE)
MARTS = Path(__file__).parents[3] / "orchestration-dbt" / "models" / "marts" / "payments"


class Story:
    """Events laid into stages by hand, the lakehouse's among them."""

    def __init__(
        self, reading: Reading | None = None, lakehouse: tuple[Stage, ...] = LAKEHOUSE
    ) -> None:
        self.reading = reading or Reading()
        for stage in lakehouse:
            self.reading.renew(stage)

    def has(
        self, name: str, *stages: Stage, money: Money | None = EUR_5, body: str = "", day: int = 1
    ) -> "Story":
        for stage in stages:
            known = UNSTATED if stage is Stage.LAKE_QUARANTINE else money
            self.reading.stages[stage].add(seen(name, known, body), day)
        return self

    def waits(self, name: str, stage: Stage) -> "Story":
        self.reading.pending[stage].add(seen(name, EUR_5))
        return self

    def audit(self, *, excuse_pending: bool = True) -> Audit:
        return reconcile(self.reading, excuse_pending=excuse_pending)


def seen(name: str, money: Money | None, body: str = "") -> Seen:
    return Seen("stripe", name, sha256((body or name).encode()).hexdigest(), money)


def names(finding: Finding) -> list[str]:
    return [named.event_id for named in finding.named]


def last_seen(finding: Finding) -> dict[str, Stage]:
    return {named.event_id: named.seen_in[-1] for named in finding.named}


def test_every_event_on_to_its_end_is_clean() -> None:
    audit = Story().has("evt", *WAY).has("evt_letter", *LETTER).audit()
    assert audit.ok
    assert audit.pending == dict.fromkeys(LAKEHOUSE, 0)
    assert audit.stages[Stage.FACTS] == (1, 1, {"EUR": 500})
    assert audit.stages[Stage.LAKE_QUARANTINE] == (1, 1, {})


@pytest.mark.parametrize(
    ("stages", "last"),
    [(WAY[:-1], Stage.LAKE), (WAY[:-2], Stage.BRONZE), (LETTER[:-1], Stage.QUARANTINE)],
)
def test_missing_in_the_lake_or_the_facts_is_named(stages: tuple[Stage, ...], last: Stage) -> None:
    audit = Story().has("evt_ok", *WAY).has("evt_lost", *stages).audit()
    assert last_seen(audit.missing) == {"evt_lost": last}
    assert audit.last_seen == {last: 1}
    assert audit.lost == (), "a table has it: it needs no looking up"
    assert audit.duplicated.count == audit.unexplained.count == audit.mismatched.count == 0


@pytest.mark.parametrize(
    "stages", [(*WAY, Stage.LAKE), (*WAY, Stage.FACTS), (*LETTER, Stage.LAKE_QUARANTINE)]
)
def test_twice_in_the_lake_or_the_facts_is_named(stages: tuple[Stage, ...]) -> None:
    audit = Story().has("evt_ok", *WAY).has("evt_twice", *stages).audit()
    assert names(audit.duplicated) == ["evt_twice"]
    assert audit.missing.count == audit.unexplained.count == 0


def test_a_fact_of_nothing_is_unexplained() -> None:
    audit = Story().has("evt_deleted", *WAY[:2], Stage.LAKE, Stage.FACTS).audit()
    assert names(audit.unexplained) == ["evt_deleted"]
    audit = Story().has("evt_invented", Stage.FACTS).audit()
    assert names(audit.unexplained) == ["evt_invented"]
    assert audit.missing.count == 0


@pytest.mark.parametrize("then", [Money("EUR", 501), Money("USD", 500), None])
@pytest.mark.parametrize("changed", [Stage.LAKE, Stage.FACTS])
def test_an_amount_that_differs_is_named(changed: Stage, then: Money | None) -> None:
    story = Story().has("evt_ok", *WAY)
    for stage in WAY:
        story.has("evt", stage, money=then if stage is changed else EUR_5)
    assert names(story.audit().mismatched) == ["evt"]


def test_what_the_next_load_brings_is_pending_unless_it_was_waited_for() -> None:
    story = Story().has("evt_ok", *WAY)
    story.has("evt_new", *WAY[:3]).waits("evt_new", Stage.LAKE)
    story.has("evt_loaded", *WAY[:4]).waits("evt_loaded", Stage.FACTS)
    story.has("evt_letter", *LETTER[:3]).waits("evt_letter", Stage.LAKE_QUARANTINE)
    story.has("evt_there_by_now", *WAY).waits("evt_there_by_now", Stage.LAKE)
    audit = story.audit()
    assert audit.ok
    assert audit.pending == dict.fromkeys(LAKEHOUSE, 1)
    demanded = story.audit(excuse_pending=False)
    assert names(demanded.missing) == ["evt_letter", "evt_loaded", "evt_new"]


def test_waiting_for_the_lake_excuses_nothing_in_the_facts() -> None:
    """A row that was scored again waits for the lake, which has the older one."""
    story = Story().has("evt_rescored", *WAY[:4]).waits("evt_rescored", Stage.LAKE)
    assert last_seen(story.audit().missing) == {"evt_rescored": Stage.LAKE}


def test_a_stage_that_was_not_read_is_judged_by_nothing() -> None:
    audit = Story(lakehouse=()).has("evt", *WAY[:3]).audit()
    assert audit.ok
    assert Stage.LAKE not in audit.stages
    assert audit.pending == {}
    audit = Story(lakehouse=LAKEHOUSE[:2]).has("evt", *WAY[:4]).audit()
    assert audit.ok
    assert list(audit.pending) == [Stage.LAKE, Stage.LAKE_QUARANTINE]


def test_the_tables_alone_agree_or_not_without_the_topics() -> None:
    story = Story(tables_only()).has("evt", *WAY[2:]).has("evt_letter", *LETTER[2:])
    story.has("evt_letter", Stage.QUARANTINE)  # delivered twice: the topics would tell
    assert story.audit().ok
    story.has("evt_lost", Stage.BRONZE)
    assert last_seen(story.audit().missing) == {"evt_lost": Stage.BRONZE}


def test_an_event_is_of_the_day_it_first_came_in_every_stage() -> None:
    story = Story().has("evt", *WAY, day=20_000)
    story.has("evt", Stage.RAW, Stage.NORMALIZED, day=20_001)  # delivered again after midnight
    story.has("evt_next", *WAY[:3], day=20_001, money=Money("JPY", 7))
    days = story.audit().days
    assert [day.isoformat() for day in days] == ["2024-10-04", "2024-10-05"]
    first, second = days.values()
    assert first == dict.fromkeys(WAY, (1, {"EUR": 500}))
    assert second == dict.fromkeys(WAY[:3], (1, {"JPY": 7}))


@pytest.mark.parametrize(
    "at", [datetime(1970, 1, 2, tzinfo=UTC), datetime(2139, 12, 31, 23, 59, 59, tzinfo=UTC)]
)
def test_the_days_add_up_to_the_whole(at: datetime) -> None:
    story = Story().has("evt", *WAY, day=day_of(at)).has("evt_2", *WAY, day=day_of(at) + 1)
    audit = story.audit()
    total = sum(parts[Stage.FACTS].hash_total["EUR"] for parts in audit.days.values())
    assert total == audit.stages[Stage.FACTS].hash_total["EUR"] == 1000
    assert at.date() in audit.days


def test_the_ledger_reads_what_the_loader_and_the_marts_write() -> None:
    written = Watermark(xid=5, id=7).to_properties()
    assert (written[audited_lakehouse.XID_PROPERTY], written[audited_lakehouse.ID_PROPERTY]) == (
        "5",
        "7",
    )
    assert audited_lakehouse.EVENTS_TABLE == contract.EVENTS_TABLE
    assert audited_lakehouse.QUARANTINE_TABLE == contract.QUARANTINE_TABLE
    assert audited_lakehouse.SCHEMAS.data == NAMESPACE
    model = yaml.safe_load((MARTS / f"{audited_lakehouse.FACTS_TABLE}.yml").read_text())["models"][
        0
    ]
    held = {column["name"] for column in model["columns"]}
    needed = {"provider", "event_id", "kind", "amount_minor", "currency", "received_at"}
    assert needed | {"ingest_xid", "body_sha256", "identity_sha256"} <= held
