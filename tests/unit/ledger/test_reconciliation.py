"""Whether the audit names exactly what is wrong, and nothing that is right."""

from dataclasses import dataclass, field
from enum import StrEnum, auto
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment_pipeline.ledger.reconciliation import NAMED_MAX, Audit, Finding, reconcile
from payment_pipeline.ledger.stage_tally import UNSTATED, Money, Seen
from payment_pipeline.ledger.stages import Reading, Stage

EUR_5 = Money("EUR", 500)
MODELLED = (Stage.RAW, Stage.NORMALIZED, Stage.BRONZE)
REJECTED = (Stage.RAW, Stage.REJECTED, Stage.QUARANTINE)
UNMODELLED = (Stage.RAW, Stage.UNMODELLED)
CONFLICTING = (Stage.RAW, Stage.NORMALIZED, Stage.QUARANTINE)


@dataclass
class Story:
    """Events laid into stages by hand."""

    reading: Reading = field(default_factory=Reading)

    def has(
        self,
        name: str | None,
        *stages: Stage,
        body: str = "",
        money: Money | None = EUR_5,
        identity: str | None = None,
    ) -> "Story":
        for stage in stages:
            client = stage is Stage.ACKNOWLEDGED
            known, stated = (UNSTATED, None) if client else (money, identity)
            self.reading.stages[stage].add(seen(name, body, known, stated))
        return self

    def audit(self) -> Audit:
        return reconcile(self.reading)


def seen(
    name: str | None, body: str = "", money: Money | None = None, identity: str | None = None
) -> Seen:
    stated = None if identity is None else digest(identity)
    return Seen("stripe", name, digest(body or name or ""), money, stated)


def digest(of: str) -> str:
    return sha256(of.encode()).hexdigest()


def names(finding: Finding) -> list[str]:
    return [named.event_id for named in finding.named]


def last_seen(finding: Finding) -> dict[str, Stage]:
    return {named.event_id: named.seen_in[-1] for named in finding.named}


def test_nothing_at_all_is_clean() -> None:
    audit = Story().audit()
    assert audit.ok
    assert audit.stages[Stage.RAW] == (0, 0, {})


def test_each_event_in_its_one_place_is_clean() -> None:
    story = Story().has("evt_b", Stage.ACKNOWLEDGED, *MODELLED)
    story.has("evt_r", Stage.ACKNOWLEDGED, *REJECTED).has("evt_u", *UNMODELLED, money=None)
    story.has(None, Stage.ACKNOWLEDGED, *REJECTED, body="{", money=None)
    audit = story.audit()
    assert audit.ok
    events = {stage.value: summary.events for stage, summary in audit.stages.items()}
    assert events == {
        "acknowledged": 3,
        "raw": 4,
        "normalized": 1,
        "rejected": 2,
        "unmodelled": 1,
        "bronze": 1,
        "quarantine": 2,
        "redriven": 0,
    }
    assert audit.stages[Stage.RAW].hash_total == {"EUR": 1000}
    assert audit.stages[Stage.BRONZE].hash_total == {"EUR": 500}
    assert audit.others == 1


@pytest.mark.parametrize(
    ("stages", "last"),
    [
        ([Stage.ACKNOWLEDGED], Stage.ACKNOWLEDGED),
        ([Stage.RAW], Stage.RAW),
        ([Stage.ACKNOWLEDGED, Stage.RAW], Stage.RAW),
        ([Stage.RAW, Stage.NORMALIZED], Stage.NORMALIZED),
        ([Stage.RAW, Stage.REJECTED], Stage.REJECTED),
    ],
)
def test_missing_is_named_with_where_it_was_last_seen(stages: list[Stage], last: Stage) -> None:
    audit = Story().has("evt_ok", *MODELLED).has("evt_lost", *stages).audit()
    assert not audit.ok
    assert last_seen(audit.missing) == {"evt_lost": last}
    assert [lost.event_id for lost in audit.lost] == ["evt_lost"]
    assert audit.duplicated.count == audit.unexplained.count == audit.mismatched.count == 0


@pytest.mark.parametrize(
    "stages",
    [
        (*MODELLED, Stage.QUARANTINE),
        (*REJECTED, Stage.UNMODELLED),
        (*MODELLED, Stage.BRONZE),
        (*REJECTED, Stage.QUARANTINE),
        (*REJECTED, Stage.NORMALIZED),
        (*CONFLICTING, Stage.QUARANTINE),
    ],
)
def test_two_places_or_two_rows_are_duplicated(stages: tuple[Stage, ...]) -> None:
    audit = Story().has("evt_ok", *MODELLED).has("evt_twice", *stages).audit()
    assert not audit.ok
    assert names(audit.duplicated) == ["evt_twice"]
    assert audit.missing.count == 0


def test_what_was_unmodelled_and_is_normalized_since_is_in_one_place() -> None:
    audit = Story().has("evt_u", *UNMODELLED, Stage.NORMALIZED, Stage.BRONZE).audit()
    assert audit.ok
    lost = Story().has("evt_u", *UNMODELLED, Stage.NORMALIZED).audit()
    assert names(lost.missing) == ["evt_u"]


def test_two_bodies_of_one_id_in_bronze_are_duplicated() -> None:
    audit = Story().has("evt", *MODELLED, body="a").has("evt", *MODELLED, body="b").audit()
    assert names(audit.duplicated) == ["evt", "evt"]


def test_a_duplicate_delivery_is_one_event() -> None:
    story = Story().has("evt_b", *MODELLED).has("evt_b", Stage.RAW, Stage.NORMALIZED)
    story.has("evt_r", *REJECTED).has("evt_r", *REJECTED)
    audit = story.audit()
    assert audit.ok
    assert audit.stages[Stage.RAW][:2] == (2, 4)
    assert audit.stages[Stage.RAW].hash_total == {"EUR": 1000}


def test_the_same_id_with_another_body_is_neither_missing_nor_twice() -> None:
    story = Story().has("evt", *MODELLED, body="first")
    audit = story.has("evt", *CONFLICTING, body="second", money=Money("EUR", 9)).audit()
    assert audit.ok
    assert audit.conflicts == 1


def test_two_renderings_of_one_event_are_one_event() -> None:
    story = Story().has("evt", Stage.ACKNOWLEDGED, *MODELLED, body="for 2024", identity="evt")
    second = (Stage.ACKNOWLEDGED, Stage.RAW, Stage.NORMALIZED)
    audit = story.has("evt", *second, body="for 2026", identity="evt").audit()
    assert audit.ok, audit
    assert (audit.conflicts, audit.others) == (0, 0)
    assert audit.stages[Stage.ACKNOWLEDGED][:2] == audit.stages[Stage.RAW][:2] == (1, 2)
    assert audit.stages[Stage.RAW].hash_total == {"EUR": 500}


def test_a_rendering_that_is_lost_after_the_raw_topic_is_not_missing() -> None:
    story = Story().has("evt", *MODELLED, body="for 2024", identity="evt")
    audit = story.has("evt", Stage.RAW, body="for 2026", identity="evt").audit()
    assert audit.ok, audit


def test_one_rendering_may_be_rejected_and_the_other_one_not() -> None:
    story = Story().has("evt", *MODELLED, body="for 2024", identity="evt")
    audit = story.has("evt", *REJECTED, body="for 2012", identity="evt").audit()
    assert audit.ok, audit


def test_two_renderings_in_two_rows_are_duplicated() -> None:
    story = Story().has("evt", *MODELLED, body="for 2024", identity="evt")
    audit = story.has("evt", *MODELLED, body="for 2026", identity="evt").audit()
    assert names(audit.duplicated) == ["evt"]


def test_an_altered_body_has_another_identity_and_is_a_conflict() -> None:
    story = Story().has("evt", *MODELLED, body="for 2024", identity="evt")
    story.has("evt", Stage.RAW, Stage.NORMALIZED, body="for 2026", identity="evt")
    altered = story.has("evt", *CONFLICTING, body="altered", identity="evt, 900 EUR")
    audit = altered.audit()
    assert audit.ok, audit
    assert audit.conflicts == 1


def test_a_row_of_an_earlier_version_has_the_identity_that_its_body_has_today() -> None:
    story = Story().has("evt", Stage.ACKNOWLEDGED, *MODELLED, body="for 2024")
    again = (Stage.RAW, Stage.NORMALIZED)
    story.has("evt", *again, body="for 2024", identity="evt")
    audit = story.has("evt", *again, body="for 2026", identity="evt").audit()
    assert audit.ok, audit
    assert audit.stages[Stage.RAW][:2] == (1, 3)


def test_two_identities_of_one_body_are_mismatched() -> None:
    story = Story().has("evt_ok", *MODELLED, identity="evt_ok")
    story.has("evt", Stage.RAW, identity="evt")
    audit = story.has("evt", *MODELLED[1:], identity="forged").audit()
    assert names(audit.mismatched) == ["evt"]
    assert audit.missing.count == audit.unexplained.count == 0


def test_a_lost_event_can_be_searched_by_its_identity_and_by_each_body() -> None:
    story = Story().has("evt", Stage.RAW, body="for 2024", identity="evt")
    audit = story.has("evt", Stage.RAW, body="for 2026", identity="evt").audit()
    (lost,) = audit.lost
    assert set(lost.hashes) == {digest(of)[:32] for of in ("evt", "for 2024", "for 2026")}


def test_the_same_id_with_another_body_that_no_place_holds_is_missing() -> None:
    story = Story().has("evt", *MODELLED, body="first")
    audit = story.has("evt", Stage.RAW, Stage.NORMALIZED, body="second").audit()
    assert last_seen(audit.missing) == {"evt": Stage.NORMALIZED}


REDRIVEN = (Stage.RAW, Stage.REJECTED, Stage.REDRIVEN, Stage.RAW)
"""A dead letter that was sent again, with its second record on the raw topic."""


@pytest.mark.parametrize("end", [MODELLED[1:], UNMODELLED[1:]], ids=["modelled", "unmodelled"])
def test_an_event_that_was_redriven_is_in_one_place(end: tuple[Stage, ...]) -> None:
    audit = Story().has("evt_b", Stage.ACKNOWLEDGED, *REDRIVEN, *end).audit()
    assert audit.ok, audit


def test_an_event_that_was_patched_is_two_bodies_in_one_place_each() -> None:
    story = Story().has("evt_b", Stage.ACKNOWLEDGED, *REDRIVEN[:3], body="signed", money=None)
    audit = story.has("evt_b", *MODELLED, body="patched").audit()
    assert audit.ok, audit
    assert (audit.others, audit.conflicts) == (1, 0)


def test_a_redriven_event_with_a_letter_that_is_still_open_is_in_two_places() -> None:
    audit = Story().has("evt_b", *REDRIVEN, *MODELLED[1:], Stage.QUARANTINE).audit()
    assert names(audit.duplicated) == ["evt_b"]


def test_a_letter_that_was_closed_for_nothing_is_missing() -> None:
    """Bronze was asked for its event and hasn't got it, so its row is in no stage."""
    audit = Story().has("evt_b", Stage.ACKNOWLEDGED, Stage.RAW, Stage.REJECTED).audit()
    assert names(audit.missing) == ["evt_b"]


def test_a_defect_in_the_orchestrator_leaves_the_event_in_quarantine() -> None:
    audit = Story().has("evt", *CONFLICTING).audit()
    assert audit.ok
    assert audit.conflicts == 0


@pytest.mark.parametrize("stage", [Stage.NORMALIZED, Stage.BRONZE, Stage.QUARANTINE])
def test_what_comes_from_nowhere_is_unexplained(stage: Stage) -> None:
    story = Story().has("evt", stage)
    if stage is Stage.NORMALIZED:
        story.has("evt", Stage.BRONZE)
    audit = story.audit()
    assert not audit.ok
    assert names(audit.unexplained) == ["evt"]
    assert audit.missing.count == 0


@pytest.mark.parametrize(
    ("said", "then"),
    [
        (EUR_5, Money("EUR", 501)),
        (EUR_5, Money("USD", 500)),
        (EUR_5, None),
        (None, EUR_5),
    ],
)
def test_an_amount_that_changes_on_the_way_is_mismatched(
    said: Money | None, then: Money | None
) -> None:
    story = Story().has("evt_ok", *MODELLED).has("evt", Stage.RAW, money=said)
    audit = story.has("evt", Stage.NORMALIZED, Stage.BRONZE, money=then).audit()
    assert not audit.ok
    assert names(audit.mismatched) == ["evt"]


def test_a_dead_letter_that_lost_its_body_says_nothing_of_money() -> None:
    story = Story().has("evt", Stage.RAW).has("evt", *REJECTED[1:], money=UNSTATED)
    audit = story.audit()
    assert audit.ok
    assert audit.stages[Stage.QUARANTINE].hash_total == {}


def test_a_row_with_another_events_id_is_mismatched() -> None:
    story = Story().has("evt_1", Stage.RAW, Stage.NORMALIZED)
    audit = story.has("evt_2", Stage.BRONZE, body="evt_1").audit()
    assert names(audit.mismatched) == ["evt_1"]


def test_an_id_that_only_the_client_knows_names_the_event() -> None:
    story = Story().has("evt_1", Stage.ACKNOWLEDGED, body="{")
    audit = story.has(None, Stage.RAW, Stage.REJECTED, body="{").audit()
    assert last_seen(audit.missing) == {"evt_1": Stage.REJECTED}
    assert audit.mismatched.count == 0


def test_an_attempt_without_an_answer_may_be_present_or_absent_never_twice() -> None:
    story = Story().has("evt_present", *MODELLED).has("evt_twice", *MODELLED, Stage.QUARANTINE)
    for name in ("evt_absent", "evt_present", "evt_twice", "evt_retried"):
        story.reading.unanswered.add(seen(name, money=UNSTATED))
    story.has("evt_retried", Stage.ACKNOWLEDGED, *MODELLED)
    audit = story.audit()
    assert names(audit.unknown) == ["evt_absent", "evt_present", "evt_twice"]
    assert names(audit.duplicated) == ["evt_twice"]
    assert audit.missing.count == 0
    assert audit.others == 0


def test_what_was_refused_is_not_stored() -> None:
    story = Story().has("evt_forged", *MODELLED).has("evt_retried", *MODELLED)
    for name in ("evt_forged", "evt_absent", "evt_retried"):
        story.reading.refused.add(seen(name, money=UNSTATED))
    story.has("evt_retried", Stage.ACKNOWLEDGED)
    assert names(story.audit().unexplained) == ["evt_forged"]


def test_findings_are_capped_and_truly_counted() -> None:
    story = Story()
    for number in range(NAMED_MAX + 7):
        story.has(f"evt_{number}", Stage.RAW)
    audit = story.audit()
    missing = audit.missing
    assert audit.last_seen == {Stage.RAW: NAMED_MAX + 7}
    assert (missing.count, len(missing.named)) == (NAMED_MAX + 7, NAMED_MAX)


def test_hash_totals_are_exact_past_64_bits_and_apart_by_currency() -> None:
    story, amount = Story(), 2**63 - 1
    for number in range(5):
        story.has(f"evt_{number}", Stage.RAW, money=Money("JPY", amount))
        story.has(f"evt_-{number}", Stage.RAW, money=Money("KWD", -amount))
    assert story.audit().stages[Stage.RAW].hash_total == {"JPY": 5 * amount, "KWD": -5 * amount}


class Fate(StrEnum):
    """What may happen to an event, and under which finding the audit must name it."""

    BRONZE = auto()
    REJECTED = auto()
    UNMODELLED = auto()
    DELIVERED_TWICE = auto()
    CONFLICT = auto()
    LOST_BEFORE_RAW = auto()
    LOST_BEFORE_NORMALIZED = auto()
    LOST_BEFORE_BRONZE = auto()
    LOST_BEFORE_QUARANTINE = auto()
    TWO_PLACES = auto()
    TWO_ROWS = auto()
    FROM_NOWHERE = auto()
    OTHER_AMOUNT = auto()


ACKNOWLEDGED = Stage.ACKNOWLEDGED
ROUTES: dict[Fate, tuple[Stage, ...]] = {
    Fate.BRONZE: (ACKNOWLEDGED, *MODELLED),
    Fate.REJECTED: (ACKNOWLEDGED, *REJECTED),
    Fate.UNMODELLED: (ACKNOWLEDGED, *UNMODELLED),
    Fate.DELIVERED_TWICE: (ACKNOWLEDGED, *MODELLED, ACKNOWLEDGED, Stage.RAW, Stage.NORMALIZED),
    Fate.CONFLICT: (ACKNOWLEDGED, *MODELLED),
    Fate.LOST_BEFORE_RAW: (ACKNOWLEDGED,),
    Fate.LOST_BEFORE_NORMALIZED: (ACKNOWLEDGED, Stage.RAW),
    Fate.LOST_BEFORE_BRONZE: (ACKNOWLEDGED, Stage.RAW, Stage.NORMALIZED),
    Fate.LOST_BEFORE_QUARANTINE: (ACKNOWLEDGED, Stage.RAW, Stage.REJECTED),
    Fate.TWO_PLACES: (ACKNOWLEDGED, *MODELLED, Stage.QUARANTINE),
    Fate.TWO_ROWS: (ACKNOWLEDGED, *REJECTED, Stage.QUARANTINE),
    Fate.FROM_NOWHERE: (Stage.BRONZE,),
    Fate.OTHER_AMOUNT: (ACKNOWLEDGED, Stage.RAW, Stage.NORMALIZED),
}


@settings(deadline=None)  # a busy machine is no fault of the audit
@given(st.lists(st.sampled_from(Fate), max_size=40))
def test_for_any_faults_the_audit_names_exactly_them(fates: list[Fate]) -> None:
    story = Story()
    expected: dict[str, list[str]] = {"missing": [], "duplicated": [], "unexplained": []}
    expected["mismatched"] = []
    for number, fate in enumerate(fates):
        name = f"evt_{number:02}"
        story.has(name, *ROUTES[fate])
        if fate is Fate.CONFLICT:
            story.has(name, ACKNOWLEDGED, *CONFLICTING, body=f"another {name}")
        elif fate is Fate.OTHER_AMOUNT:
            story.has(name, Stage.BRONZE, money=Money("EUR", 1))
            expected["mismatched"].append(name)
        elif fate.startswith("lost"):
            expected["missing"].append(name)
        elif fate.startswith("two"):
            expected["duplicated"].append(name)
        elif fate is Fate.FROM_NOWHERE:
            expected["unexplained"].append(name)
    audit = story.audit()
    assert {finding: names(getattr(audit, finding)) for finding in expected} == expected
    assert audit.ok is not any(expected.values())
    assert audit.conflicts == fates.count(Fate.CONFLICT)
    assert audit.others == 0
